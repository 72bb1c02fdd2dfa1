namespace CdcOrleans.Grains.Interfaces.Sinks;

/// <summary>Names of topics.</summary>
public static class TopicName
{
    /// <summary>Longest name that Kafka takes, in characters.</summary>
    public const int MaxLength = 249;

    /// <summary>
    /// <c>source.schema.table</c>, made valid for Kafka as Debezium does it: characters other than ASCII letters, digits,
    /// <c>.</c>, <c>_</c> and <c>-</c> become <c>_</c>; a name that is too long is cut.
    /// </summary>
    public static string For(string source, string schema, string table)
    {
        var name = $"{source}.{schema}.{table}";
        var valid = string.Create(Math.Min(name.Length, MaxLength), name, static (span, from) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = char.IsAsciiLetterOrDigit(from[i]) || from[i] is '.' or '_' or '-' ? from[i] : '_';
        });
        return valid;
    }
}
