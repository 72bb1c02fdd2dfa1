using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Adds the conditions of a filter to a question. Only what is given becomes a condition, so that indexes are used.</summary>
internal static class LetterConditions
{
    /// <summary>Returns the conditions, each after <c>AND</c>, and adds their parameters.</summary>
    public static string Add(NpgsqlCommand command, LetterFilter filter, bool withFingerprint)
    {
        var text = "";
        Equal("source", filter.Source);
        Equal("sink", filter.Sink);
        Equal("table_name", filter.Table);
        if (filter.Key is { } key)
        {
            if (withFingerprint)
            {
                command.Parameters.Add(SqlValues.Text(key));
                text += $" AND hashtextextended(entity_key, 0) = hashtextextended(${command.Parameters.Count}, 0)";
            }

            Equal("entity_key", key);
        }

        if (withFingerprint)
            Equal("fingerprint", filter.Fingerprint);
        return text;

        void Equal(string column, string? value)
        {
            if (value is null)
                return;
            command.Parameters.Add(SqlValues.Text(value));
            text += $" AND {column} = ${command.Parameters.Count}";
        }
    }
}
