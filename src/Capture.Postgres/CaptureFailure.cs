using System.Net.Sockets;
using CdcOrleans.Capture.Postgres.Checks;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Retries;
using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Capture.Postgres;

/// <summary>
/// Turns exceptions of the connection into exceptions of capture: what failed, where, the remedy, and whether a retry may succeed.
/// </summary>
internal sealed class CaptureFailure(SourceConfiguration source, SourceConnection place)
{
    /// <summary>Converts an exception of Npgsql or of the protocol.</summary>
    /// <param name="exception">The exception.</param>
    /// <param name="doing">What was being done, such as <c>streaming</c>.</param>
    public CaptureException Of(Exception exception, string doing) => exception switch
    {
        CaptureException capture => capture,
        PostgresException refusal => Of(refusal, doing),
        InvalidDataException broken => new CaptureException(
            $"sources.{source.Name}: {place.Description} sent data that does not follow the protocol, while {doing}: {broken.Message} "
            + "Check whether a proxy changes the data; if not, report this as a defect.",
            transient: false, broken),
        _ when Exhaustion.IsCauseOf(exception) => new CaptureException(
            $"sources.{source.Name}: this process lacks memory while {doing}; it tries again. "
            + "Remedy: give the process more memory, or lower memory, window.bytes or large_values.limit of the source.",
            transient: true, exception),
        _ => new CaptureException(
            $"{Connection}: the connection to {place.Description} failed while {doing}: {Words(exception)} "
            + "Check that the server runs and can be reached from here.",
            transient: true, exception),
    };

    /// <summary>
    /// The address leads to another server since it was checked, or a standby was promoted in between. The next attempt checks this one.
    /// </summary>
    /// <param name="expected">The log that was checked.</param>
    /// <param name="found">The log of the server that answers now.</param>
    public CaptureException Changed(ServerLog expected, ServerLog found) => new(
        $"{Connection}: {place.Description} is another server, or on another timeline, than when it was checked "
        + $"(system identifier {found.SystemIdentifier}, timeline {found.Timeline}; checked: {expected.SystemIdentifier}, timeline {expected.Timeline}). "
        + "It is checked again. If this lasts, the connection leads to several servers: let it lead to the primary only.",
        transient: true);

    private string Connection => place.Setting;

    private CaptureException Of(PostgresException refusal, string doing)
    {
        var reason = $"{refusal.MessageText} ({refusal.SqlState})";
        return refusal.SqlState switch
        {
            PostgresErrorCodes.ObjectInUse => new CaptureException(
                $"sources.{source.Name}.postgres.slot: slot {source.Slot} is in use: {reason}. Stop the other client, or name another slot.",
                transient: true, refusal),
            PostgresErrorCodes.UndefinedObject when refusal.MessageText.Contains("publication", StringComparison.Ordinal) => new CaptureException(
                $"sources.{source.Name}.postgres.publication: {reason}. "
                + "The log is read as of each change: if the publication was created after the slot, drop the slot and start the source again.",
                transient: false, refusal),
            PostgresErrorCodes.UndefinedObject => new CaptureException(SlotCheck.Missing(source), transient: false, refusal),
            PostgresErrorCodes.ObjectNotInPrerequisiteState when refusal.MessageText.Contains("accepting connections", StringComparison.Ordinal) => new CaptureException(
                $"{Connection}: {place.Description} takes no connections now: {reason}. If this lasts, allow them: ALTER DATABASE … ALLOW_CONNECTIONS true;",
                transient: true, refusal),
            PostgresErrorCodes.ObjectNotInPrerequisiteState or PostgresErrorCodes.UndefinedFile => new CaptureException(
                $"sources.{source.Name}.postgres.slot: {place.Description} refused slot {source.Slot}: {reason}. "
                + $"If the slot is lost, run SELECT pg_drop_replication_slot({Sql.Text(source.Slot)});, start the source again, and backfill.",
                transient: false, refusal),
            _ when CannotSend(refusal) => new CaptureException(
                $"sources.{source.Name}: {place.Description} cannot send a row, because its text is longer than the 1 GB that the server can have in memory at once: "
                + $"{reason}; {refusal.Where ?? "at an unknown position"}. Nothing after this row can be read until the slot is moved past the end of its transaction: "
                + "see 'Rows that the server cannot send' in docs/configuration.md.",
                transient: false, refusal),
            PostgresErrorCodes.UntranslatableCharacter or PostgresErrorCodes.CharacterNotInRepertoire => new CaptureException(
                $"sources.{source.Name}: {place.Description} cannot send a row, because one of its values has a character that cannot be converted from the "
                + $"database's encoding to UTF-8: {reason}; {refusal.Where ?? "at an unknown position"}. Correcting the value now does not help, because the log has it "
                + "as it was. Nothing after this row can be read until the slot is moved past the end of its transaction: "
                + "see 'Rows that the server cannot send' in docs/configuration.md.",
                transient: false, refusal),
            _ when LikelyPasses(refusal) => new CaptureException(
                $"{Connection}: {place.Description} ended the session while {doing}: {reason}. Check the server's state and log.",
                transient: true, refusal),
            _ => new CaptureException(
                $"{Connection}: {place.Description} refused while {doing}: {reason}. Check user, password, database and privileges.",
                transient: false, refusal),
        };
    }

    // The server would need a buffer larger than its limit, for the text of one value or for the whole message.
    private static bool CannotSend(PostgresException refusal) =>
        refusal.SqlState == PostgresErrorCodes.ProgramLimitExceeded
        || (refusal.SqlState == PostgresErrorCodes.InternalError && refusal.MessageText.Contains("memory alloc request size", StringComparison.Ordinal));

    // These errors need a person: authorization (28), catalog and schema names (3D, 3F), syntax and privileges (42). The exception is a
    // lock that another session holds: it will be released.
    private static bool LikelyPasses(PostgresException refusal) =>
        refusal.SqlState == PostgresErrorCodes.LockNotAvailable || refusal.SqlState[..2] is not ("28" or "3D" or "3F" or "42" or "0A" or "22" or "55");

    private static string Words(Exception exception)
    {
        var words = exception.Message.TrimEnd('.');
        return exception.InnerException is SocketException or IOException or TimeoutException
            ? $"{words}: {exception.InnerException.Message.TrimEnd('.')}."
            : $"{words}.";
    }
}
