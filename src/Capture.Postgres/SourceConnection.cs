using CdcOrleans.Model.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres;

/// <summary>Connection strings of a source, and its description in messages.</summary>
internal sealed class SourceConnection
{
    // Settings that ALTER ROLE or ALTER DATABASE may have changed. Values of rows are compared as text, and defaults and type names are
    // read as text, so every session must write them in the same form. Timeouts are set to none here, because we limit the time ourselves.
    // Our commits are never waited for by us: the server may take this reader for a synchronous standby, and then they would wait until it
    // has confirmed them. What is written is a heartbeat or a publication, which would be written again after a failover.
    // lc_monetary is not set: it gives the digits of an amount of money, which only the database knows.
    private const string Pinned =
        "-c DateStyle=ISO,MDY -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c standard_conforming_strings=on "
        + "-c quote_all_identifiers=off -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 "
        + "-c synchronous_commit=local";

    private const int KeepAliveSeconds = 30;

    private const int MaxServerName = 63;

    private readonly NpgsqlConnectionStringBuilder _replication;

    /// <summary>Reads a connection string.</summary>
    /// <param name="source">The source.</param>
    /// <param name="replica">The replica to connect to; null for the source itself.</param>
    public SourceConnection(SourceConfiguration source, string? replica = null)
    {
        Setting = $"sources.{source.Name}.postgres.{(replica is null ? "connection" : $"replicas.{replica}")}";
        NpgsqlConnectionStringBuilder given;
        try
        {
            given = new NpgsqlConnectionStringBuilder(replica is null ? source.Connection : source.Replicas[replica]);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            // The text and the message of the parser are not passed on: both may contain the password.
            throw new Model.Capture.CaptureException(
                $"{Setting} is not a connection string. Write it as Host=…;Database=…;Username=….", transient: false);
        }

        ReaderName = $"cdc-{source.Name}";
        if (ReaderName.Length > MaxServerName)
            ReaderName = ReaderName[..MaxServerName];
        var database = given.Database ?? given.Username;
        Description = $"{given.Host}:{given.Port} (user {given.Username}, database {database})";
        var pinned = new NpgsqlConnectionStringBuilder(given.ConnectionString)
        {
            ApplicationName = ReaderName,
            // The last setting wins, and settings with a keyword of their own are added after all options.
            Options = string.IsNullOrEmpty(given.Options) ? Pinned : $"{given.Options} {Pinned}",
            SearchPath = "pg_catalog",
            Timezone = "UTC",
            ClientEncoding = "UTF8",
            Encoding = "UTF8",
            // A session that only receives must notice when the server is gone.
            TcpKeepAlive = true,
            TcpKeepAliveTime = given.TcpKeepAliveTime > 0 ? given.TcpKeepAliveTime : KeepAliveSeconds,
            TcpKeepAliveInterval = given.TcpKeepAliveInterval > 0 ? given.TcpKeepAliveInterval : KeepAliveSeconds,
        };
        Ordinary = new NpgsqlConnectionStringBuilder(pinned.ConnectionString) { Enlist = false, MaxPoolSize = 4, MinPoolSize = 0 }.ConnectionString;
        _replication = new NpgsqlConnectionStringBuilder(pinned.ConnectionString)
        {
            // The server sends every message by itself. With a large buffer, one read takes many of them.
            ReadBufferSize = 256 << 10,
            CancellationTimeout = 1000,
        };
    }

    /// <summary>Its place in the configuration.</summary>
    public string Setting { get; }

    /// <summary>Application name of our sessions.</summary>
    public string ReaderName { get; }

    /// <summary>Description of server, user and database for messages, without secrets.</summary>
    public string Description { get; }

    /// <summary>Connection string of ordinary sessions, which are pooled.</summary>
    public string Ordinary { get; }

    /// <summary>Connection string of the streaming session.</summary>
    /// <param name="server">
    /// Version of the server. <c>transaction_timeout</c> exists from version 17 on, and it also ends a session that streams.
    /// </param>
    public string Replication(Version server) => server.Major < 17
        ? _replication.ConnectionString
        : new NpgsqlConnectionStringBuilder(_replication.ConnectionString) { Options = $"{_replication.Options} -c transaction_timeout=0" }.ConnectionString;
}
