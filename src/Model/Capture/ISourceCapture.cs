using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Model.Capture;

/// <summary>Opens the capture of a configured source.</summary>
public interface ISourceCaptureFactory
{
    /// <summary>Creates the capture of a source. Does not connect yet.</summary>
    ISourceCapture Create(SourceConfiguration source);
}

/// <summary>Captures one database: checks it, creates its slot and publication, and streams its changes.</summary>
public interface ISourceCapture : IAsyncDisposable
{
    /// <summary>
    /// Checks everything that streaming needs. Then creates the publication and the slot, or uses existing ones. Changes nothing when a
    /// check fails. Calling it again is harmless.
    /// </summary>
    /// <param name="lastConfirmed">
    /// Reads the confirmed position of the source; gives null before the first start. Null: the check for missing changes is skipped. It is
    /// called after the slot was read, because another reader may still move the slot.
    /// </param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="CaptureException">
    /// A check failed; or changes are missing between the confirmed position and the slot, or the server's log lacks changes that were
    /// delivered, and nobody has accepted that. The message names the place and the remedy.
    /// </exception>
    Task<CaptureFacts> Prepare(Func<CancellationToken, Task<ConfirmedPosition?>>? lastConfirmed, CancellationToken cancellation);

    /// <summary>Runs the checks of <see cref="Prepare"/> and returns every finding. Changes nothing.</summary>
    Task<IReadOnlyList<string>> Check(CancellationToken cancellation);

    /// <summary>
    /// Runs the checks again while streaming. Adds tables to the publication that were created, or removed from it, since the last check.
    /// Rows written before are not in the log.
    /// </summary>
    /// <returns>The tables that were added, as <c>schema.table</c>.</returns>
    /// <exception cref="CaptureException">A check failed, or the publication is gone; the message names the place and the remedy.</exception>
    Task<IReadOnlyList<string>> Watch(CancellationToken cancellation);

    /// <summary>
    /// Tables that match the configuration and are not captured, as of the last check: a sentence for each, with the reason and the remedy.
    /// Any thread.
    /// </summary>
    IReadOnlyList<string> LeftOut { get; }

    /// <summary>What <see cref="Prepare"/> waits for at the server, with the remedy; null when it does not wait. Any thread.</summary>
    string? Waiting { get; }

    /// <summary>
    /// Starts streaming at the slot's confirmed position, from the log that the last <see cref="Prepare"/> found. If the connection leads to
    /// another one meanwhile, it must be prepared again.
    /// </summary>
    /// <param name="reporting">Is called, and awaited, before a position is reported to the server. Null: nothing is called.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="CaptureException">The slot is gone, in use, or refused; the message names the remedy.</exception>
    Task<IWalStream> Stream(Func<Lsn, CancellationToken, Task>? reporting, CancellationToken cancellation);

    /// <summary>
    /// Writes a heartbeat into the log of the source, so that the confirmed position moves while no captured table changes.
    /// </summary>
    Task Heartbeat(CancellationToken cancellation);

    /// <summary>Reads the end of the server's log and the position of the slot.</summary>
    Task<SourcePositions> Positions(CancellationToken cancellation);

    /// <summary>Ends the server process of a stale reader that still streams from our slot, if there is one.</summary>
    /// <returns>Whether a process was ended.</returns>
    Task<bool> EndStaleReader(CancellationToken cancellation);
}

/// <summary>What <see cref="ISourceCapture.Prepare"/> found and did.</summary>
/// <param name="Database">Name of the captured database.</param>
/// <param name="Log">The server and the timeline of its log.</param>
/// <param name="ServerVersion">The server's version, such as 15.18.</param>
/// <param name="SlotCreated">Whether the slot was created by this call.</param>
/// <param name="ConfirmedLsn">The slot's confirmed position.</param>
/// <param name="Tables">Captured tables as <c>schema.table</c>.</param>
/// <param name="Gap">
/// Why changes are missing since the last confirmed position, or in the server's log, when a person has accepted that; null when none are
/// missing.
/// </param>
public sealed record CaptureFacts(
    string Database, ServerLog Log, string ServerVersion, bool SlotCreated, Lsn ConfirmedLsn, IReadOnlyList<string> Tables, string? Gap = null);

/// <summary>Positions in the log of a source.</summary>
/// <param name="ServerLsn">End of the server's log.</param>
/// <param name="ConfirmedLsn">The slot's confirmed position.</param>
/// <param name="RetainedBytes">Bytes of log that the server keeps for the slot.</param>
public readonly record struct SourcePositions(Lsn ServerLsn, Lsn ConfirmedLsn, long RetainedBytes);

/// <summary>
/// Committed changes in commit order. Only one thread may read at a time; <see cref="Confirm"/> may be called from any thread.
/// </summary>
public interface IWalStream : IAsyncDisposable
{
    /// <summary>Reads the next item. Completes synchronously while data of the server is already buffered.</summary>
    /// <exception cref="CaptureException">The stream broke or the server refused; start again with <see cref="ISourceCapture.Stream"/>.</exception>
    ValueTask<WalItem> Read(CancellationToken cancellation);

    /// <summary>Sets the position up to which everything is durable. It is reported to the server with the next feedback.</summary>
    void Confirm(Lsn position);

    /// <summary>Reports the position to the server now.</summary>
    Task SendFeedback(CancellationToken cancellation);
}

/// <summary>The kind of a <see cref="WalItem"/>.</summary>
public enum WalItemKind : byte
{
    /// <summary>A row change of the transaction being read.</summary>
    Change,

    /// <summary>The end of a transaction: all its changes have been yielded.</summary>
    Commit,

    /// <summary>A position outside transactions, such as that of a heartbeat. Everything before it has been yielded.</summary>
    Position,

    /// <summary>The stored rows of some tables are no longer valid from here on.</summary>
    Forget,
}

/// <summary>One item of a WAL stream.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Change">The change; null unless <see cref="WalItemKind.Change"/>.</param>
/// <param name="Transaction">The transaction that ends; null unless <see cref="WalItemKind.Commit"/>.</param>
/// <param name="EndLsn">For commits and positions: the position that may be confirmed once everything up to here is durable.</param>
/// <param name="Forgotten">The tables and the version; null unless <see cref="WalItemKind.Forget"/>.</param>
public readonly record struct WalItem(WalItemKind Kind, RowChange? Change, SourceTransaction? Transaction, Lsn EndLsn, ForgottenTables? Forgotten = null);

/// <summary>
/// Tables whose stored rows are no longer valid: their changes were not captured for some time, or their rows have another key or another
/// table name since.
/// </summary>
/// <param name="Tables">Numbers of the tables in the schema store.</param>
/// <param name="Version">Stored rows up to this version are no longer valid.</param>
public sealed record ForgottenTables(IReadOnlyList<int> Tables, ChangeVersion Version);

/// <summary>Capture cannot continue; the message names the place and the remedy.</summary>
public sealed class CaptureException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The place and the remedy, for a person.</param>
    /// <param name="transient">Whether a retry may succeed although nobody does anything.</param>
    /// <param name="inner">The cause.</param>
    public CaptureException(string message, bool transient, Exception? inner = null)
        : base(message, inner) => Transient = transient;

    /// <summary>Whether a retry may succeed although nobody does anything.</summary>
    public bool Transient { get; }
}
