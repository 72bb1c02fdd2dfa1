using CdcOrleans.Grains.Interfaces.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres;

/// <summary>How a source's server is reached, and how that is said to people.</summary>
internal sealed class SourceConnection
{
    // Values of rows are compared as text, so the session that writes them must always write them alike.
    private const string DeterministicText =
        "-c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex";

    private const int MaxServerName = 63;

    public SourceConnection(SourceConfiguration source)
    {
        NpgsqlConnectionStringBuilder given;
        try
        {
            given = new NpgsqlConnectionStringBuilder(source.Connection);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            // Neither the text nor the parser's message goes on: both may hold the password.
            throw new Grains.Interfaces.Capture.CaptureException(
                $"sources.{source.Name}.postgres.connection is not a connection string. Write it as Host=…;Database=…;Username=….", transient: false);
        }

        ReaderName = $"cdc-{source.Name}";
        if (ReaderName.Length > MaxServerName)
            ReaderName = ReaderName[..MaxServerName];
        var database = given.Database ?? given.Username;
        Description = $"{given.Host}:{given.Port} (user {given.Username}, database {database})";
        Ordinary = new NpgsqlConnectionStringBuilder(given.ConnectionString)
        {
            ApplicationName = ReaderName,
            Enlist = false,
            MaxPoolSize = 4,
            MinPoolSize = 0,
        }.ConnectionString;
        Replication = new NpgsqlConnectionStringBuilder(given.ConnectionString)
        {
            ApplicationName = ReaderName,
            Options = string.IsNullOrEmpty(given.Options) ? DeterministicText : $"{given.Options} {DeterministicText}",
            Timezone = "UTC",
            ClientEncoding = "UTF8",
            Encoding = "UTF8",
            // The server sends every message by itself: a large buffer takes many at once whenever they pile up.
            ReadBufferSize = 256 << 10,
            CancellationTimeout = 1000,
        }.ConnectionString;
    }

    /// <summary>Name that our sessions carry at the server.</summary>
    public string ReaderName { get; }

    /// <summary>Server, user and database in words, without secrets.</summary>
    public string Description { get; }

    /// <summary>Connection string of pooled ordinary sessions.</summary>
    public string Ordinary { get; }

    /// <summary>Connection string of the streaming session.</summary>
    public string Replication { get; }
}
