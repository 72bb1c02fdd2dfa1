using CdcOrleans.Model.Configuration;
using Npgsql;

namespace CdcOrleans.Capture.Postgres;

/// <summary>How a source's server is reached, and how that is said to people.</summary>
internal sealed class SourceConnection
{
    // What ALTER ROLE and ALTER DATABASE may decide otherwise. Values of rows are compared as text, and defaults and names of types
    // are read beside them, so every session must always write them alike; and what is patient here is bounded on our side. Not so
    // lc_monetary: it says how many digits an amount of money has, which is the database's to know.
    private const string Pinned =
        "-c DateStyle=ISO,MDY -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c standard_conforming_strings=on "
        + "-c quote_all_identifiers=off -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0";

    private const int KeepAliveSeconds = 30;

    private const int MaxServerName = 63;

    private readonly NpgsqlConnectionStringBuilder _replication;

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
            throw new Model.Capture.CaptureException(
                $"sources.{source.Name}.postgres.connection is not a connection string. Write it as Host=…;Database=…;Username=….", transient: false);
        }

        ReaderName = $"cdc-{source.Name}";
        if (ReaderName.Length > MaxServerName)
            ReaderName = ReaderName[..MaxServerName];
        var database = given.Database ?? given.Username;
        Description = $"{given.Host}:{given.Port} (user {given.Username}, database {database})";
        var pinned = new NpgsqlConnectionStringBuilder(given.ConnectionString)
        {
            ApplicationName = ReaderName,
            // The last word wins, and what has a keyword of its own comes after all options.
            Options = string.IsNullOrEmpty(given.Options) ? Pinned : $"{given.Options} {Pinned}",
            SearchPath = "pg_catalog",
            Timezone = "UTC",
            ClientEncoding = "UTF8",
            Encoding = "UTF8",
            // A server that is gone without a word must be noticed by a session that only listens.
            TcpKeepAlive = true,
            TcpKeepAliveTime = given.TcpKeepAliveTime > 0 ? given.TcpKeepAliveTime : KeepAliveSeconds,
            TcpKeepAliveInterval = given.TcpKeepAliveInterval > 0 ? given.TcpKeepAliveInterval : KeepAliveSeconds,
        };
        Ordinary = new NpgsqlConnectionStringBuilder(pinned.ConnectionString) { Enlist = false, MaxPoolSize = 4, MinPoolSize = 0 }.ConnectionString;
        _replication = new NpgsqlConnectionStringBuilder(pinned.ConnectionString)
        {
            // The server sends every message by itself: a large buffer takes many at once whenever they pile up.
            ReadBufferSize = 256 << 10,
            CancellationTimeout = 1000,
        };
    }

    /// <summary>Name that our sessions carry at the server.</summary>
    public string ReaderName { get; }

    /// <summary>Server, user and database in words, without secrets.</summary>
    public string Description { get; }

    /// <summary>Connection string of pooled ordinary sessions.</summary>
    public string Ordinary { get; }

    /// <summary>Connection string of the streaming session.</summary>
    /// <param name="server">Version of the server: before 17 there is no <c>transaction_timeout</c>, which reading a transaction is subject to.</param>
    public string Replication(Version server) => server.Major < 17
        ? _replication.ConnectionString
        : new NpgsqlConnectionStringBuilder(_replication.ConnectionString) { Options = $"{_replication.Options} -c transaction_timeout=0" }.ConnectionString;
}
