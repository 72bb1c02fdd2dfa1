using System.Net.Sockets;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Turns errors of the driver into messages that name the place and the remedy.</summary>
internal static class ControlTrouble
{
    public static ControlDatabaseException Explain(NpgsqlConnectionStringBuilder settings, Exception trouble, string? doing = null)
    {
        var (what, remedy) = trouble switch
        {
            PostgresException refused => Refused(settings, refused),
            NpgsqlException { InnerException: SocketException or TimeoutException or IOException } =>
                ("cannot be reached", "check that the server runs and listens at this address, and that no firewall blocks the connection."),
            NpgsqlException { Message: var message } when message.Contains("password", StringComparison.OrdinalIgnoreCase) =>
                ("requires a password, but none is given", "add Password=… to control.connection, or use a passfile."),
            _ => ($"failed: {trouble.Message}", "see the cause below; the server's log has more."),
        };
        var place = ControlConnection.Describe(settings);
        return new ControlDatabaseException($"{(doing is null ? "" : doing + " ")}{place} {what}. Remedy: {remedy}", trouble);
    }

    public static ControlDatabaseException ExplainMissingDatabase(NpgsqlConnectionStringBuilder settings, NpgsqlException trouble)
    {
        var name = Quoted(settings.Database);
        var why = trouble is PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege }
            ? "the user may not create it"
            : $"creating it failed: {Words(trouble)}";
        return new ControlDatabaseException(
            $"{ControlConnection.Describe(settings)} does not exist and {why}. "
            + $"Remedy: as a superuser run CREATE DATABASE {name} OWNER {Quoted(settings.Username)};",
            trouble);
    }

    private static (string What, string Remedy) Refused(NpgsqlConnectionStringBuilder settings, PostgresException refused) => refused.SqlState switch
    {
        PostgresErrorCodes.InvalidPassword =>
            ("refuses the password", "correct Password in control.connection (or the passfile it names)."),
        PostgresErrorCodes.InvalidAuthorizationSpecification =>
            ($"refuses the user: {refused.MessageText}", "create the role with LOGIN, or allow it in the server's pg_hba.conf."),
        PostgresErrorCodes.InvalidCatalogName =>
            ("does not exist", $"as a superuser run CREATE DATABASE {Quoted(settings.Database)} OWNER {Quoted(settings.Username)};"),
        PostgresErrorCodes.InsufficientPrivilege =>
            ($"refuses: {refused.MessageText}",
             $"make the user owner of the database, or run GRANT CREATE, CONNECT ON DATABASE {Quoted(settings.Database)} TO {Quoted(settings.Username)};"),
        PostgresErrorCodes.ReadOnlySqlTransaction =>
            ("is read-only", "connect to the primary, not to a standby."),
        PostgresErrorCodes.CannotConnectNow =>
            ($"takes no connections now: {refused.MessageText}", "wait until the server has started."),
        PostgresErrorCodes.TooManyConnections =>
            ("has no free connection", "raise max_connections, or lower Maximum Pool Size in control.connection."),
        _ => ($"refuses: {refused.MessageText} ({refused.SqlState})", "see the server's log."),
    };

    private static string Words(Exception trouble) => trouble is PostgresException refused ? refused.MessageText : trouble.Message;

    private static string Quoted(string? identifier) => $"\"{identifier?.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
