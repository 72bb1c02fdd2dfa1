using System.Data.Common;
using System.Globalization;
using CdcOrleans.Configuration.Reading;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Checks connection strings and describes them without secrets.</summary>
internal static class ConnectionText
{
    /// <summary>An example for messages.</summary>
    public const string Example = "Host=127.0.0.1;Database=shop;Username=cdc";

    // The Npgsql keywords and synonyms that are checked here.
    private static readonly string[] Host = ["Host", "Server"];
    private static readonly string[] Port = ["Port"];
    private static readonly string[] Database = ["Database", "DB"];
    private static readonly string[] User = ["Username", "User Name", "UserId", "User Id", "UID"];

    /// <summary>Reports a connection string that cannot be read or lacks its host or database. Never prints it.</summary>
    public static void Check(Value? connection)
    {
        if (connection?.AsText() is not { } text)
            return;
        if (Parse(text) is not { } parts)
        {
            connection.Refuse($"is not a connection string; write keyword=value pairs separated by ';', such as {Example}");
            return;
        }

        if (Find(parts, Host) is null)
            connection.Refuse($"names no Host; write for example {Example}");
        if (Find(parts, Database) is null)
            connection.Refuse($"names no Database; write for example {Example}");
        if (Find(parts, Port) is { } port && !(ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0))
            connection.Refuse("has a Port that is not a number from 1 to 65535");
    }

    /// <summary>Returns host, port, database and user; a fixed text when the string cannot be read.</summary>
    public static string Redact(string connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        if (Parse(connection) is not { } parts)
            return "(unreadable connection string)";
        string[][] shown = [Host, Port, Database, User];
        return string.Join(';', shown.Select(k => (Keyword: k[0], Value: Find(parts, k))).Where(p => p.Value is not null).Select(p => $"{p.Keyword}={p.Value}"));
    }

    /// <summary>Returns the server of a connection string in a comparable form; null when it names none.</summary>
    public static string? ServerOf(string connection) =>
        Parse(connection) is { } parts && Find(parts, Host) is { } host ? $"{host.ToUpperInvariant()}:{Find(parts, Port) ?? "5432"}" : null;

    private static DbConnectionStringBuilder? Parse(string text)
    {
        try
        {
            return new DbConnectionStringBuilder { ConnectionString = text };
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    private static string? Find(DbConnectionStringBuilder parts, string[] keywords)
    {
        foreach (var keyword in keywords)
        {
            if (parts.TryGetValue(keyword, out var value) && value.ToString() is { Length: > 0 } text)
                return text;
        }

        return null;
    }
}
