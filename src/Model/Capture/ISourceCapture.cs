using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Model.Capture;

/// <summary>Opens the capture of a configured source.</summary>
public interface ISourceCaptureFactory
{
    /// <summary>The capture of a source; nothing is connected yet.</summary>
    ISourceCapture Create(SourceConfiguration source);
}

/// <summary>One captured database: its checks, its slot and publication, its stream.</summary>
public interface ISourceCapture : IAsyncDisposable
{
    /// <summary>
    /// Checks everything that streaming needs, then creates or adopts publication and slot. Changes nothing when a check fails.
    /// Running it again is harmless.
    /// </summary>
    /// <param name="mark">
    /// Tells how far the source was read before; null when it never was. Asked after the slot was looked at, which another reader may be
    /// moving still.
    /// </param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="CaptureException">
    /// A check failed, or the log does not go on where it was read last and nobody has accepted that; the message names the place and
    /// the remedy.
    /// </exception>
    Task<CaptureFacts> Prepare(Func<CancellationToken, Task<SourceMark?>>? mark, CancellationToken cancellation);

    /// <summary>The checks of <see cref="Prepare"/> alone: changes nothing, and returns every finding.</summary>
    Task<IReadOnlyList<string>> Check(CancellationToken cancellation);

    /// <summary>
    /// The checks again while streaming: adds tables that came to exist, or were taken out, to the publication. What they wrote before
    /// is not captured.
    /// </summary>
    /// <returns>The tables that joined, as <c>schema.table</c>.</returns>
    /// <exception cref="CaptureException">A check failed, or the publication is gone; the message names the place and the remedy.</exception>
    Task<IReadOnlyList<string>> Watch(CancellationToken cancellation);

    /// <summary>Starts streaming at the slot's confirmed position.</summary>
    /// <param name="reporting">Is called, and waited for, before a position is reported to the server; null for nothing to be done.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <exception cref="CaptureException">The slot is gone, in use, or refused; the message names the remedy.</exception>
    Task<IWalStream> Stream(Func<Lsn, CancellationToken, Task>? reporting, CancellationToken cancellation);

    /// <summary>Writes a heartbeat into the source's log, so that positions advance where no captured table changes.</summary>
    Task Heartbeat(CancellationToken cancellation);

    /// <summary>Asks the server where its log and the slot stand.</summary>
    Task<SourcePositions> Positions(CancellationToken cancellation);

    /// <summary>Ends the server process that a stale reader left streaming from our slot, if any.</summary>
    /// <returns>Whether one was ended.</returns>
    Task<bool> EndStaleReader(CancellationToken cancellation);
}

/// <summary>What is known of a source once it is prepared.</summary>
/// <param name="Database">Name of the captured database.</param>
/// <param name="SystemIdentifier">The server's system identifier.</param>
/// <param name="ServerVersion">The server's version, such as 15.18.</param>
/// <param name="SlotCreated">Whether the slot was created by this call.</param>
/// <param name="ConfirmedLsn">The slot's confirmed position.</param>
/// <param name="Tables">Captured tables as <c>schema.table</c>.</param>
/// <param name="Gap">Why changes are missing since the log was read last, where that was accepted; null when none are.</param>
public sealed record CaptureFacts(
    string Database, string SystemIdentifier, string ServerVersion, bool SlotCreated, Lsn ConfirmedLsn, IReadOnlyList<string> Tables, string? Gap = null);

/// <summary>Where a source's log stands.</summary>
/// <param name="ServerLsn">End of the server's log.</param>
/// <param name="ConfirmedLsn">The slot's confirmed position.</param>
/// <param name="RetainedBytes">Log that the slot keeps the server from recycling.</param>
public readonly record struct SourcePositions(Lsn ServerLsn, Lsn ConfirmedLsn, long RetainedBytes);

/// <summary>Committed changes in commit order. One reader; <see cref="Confirm"/> may be called from any thread.</summary>
public interface IWalStream : IAsyncDisposable
{
    /// <summary>The next item. Completes synchronously as long as the server's data is already buffered.</summary>
    /// <exception cref="CaptureException">The stream broke or the server refused; start again with <see cref="ISourceCapture.Stream"/>.</exception>
    ValueTask<WalItem> Read(CancellationToken cancellation);

    /// <summary>Stores the position up to which everything is durable; it is reported to the server on the next feedback.</summary>
    void Confirm(Lsn position);

    /// <summary>Reports the stored position to the server now.</summary>
    Task SendFeedback(CancellationToken cancellation);
}

/// <summary>What kind of item a WAL stream yields.</summary>
public enum WalItemKind : byte
{
    /// <summary>A row change of the transaction being read.</summary>
    Change,

    /// <summary>The end of a transaction: all its changes have been yielded.</summary>
    Commit,

    /// <summary>A position reached outside transactions: a heartbeat. Everything before it has been yielded.</summary>
    Position,

    /// <summary>Nothing that was held of some tables' rows before here is true any more.</summary>
    Forget,
}

/// <summary>One item of a WAL stream.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Change">The change; null unless <see cref="WalItemKind.Change"/>.</param>
/// <param name="Transaction">The transaction that ends; null unless <see cref="WalItemKind.Commit"/>.</param>
/// <param name="EndLsn">For commits and positions: what may be confirmed once everything up to here is durable.</param>
/// <param name="Forgotten">Whose rows; null unless <see cref="WalItemKind.Forget"/>.</param>
public readonly record struct WalItem(WalItemKind Kind, RowChange? Change, SourceTransaction? Transaction, Lsn EndLsn, ForgottenTables? Forgotten = null);

/// <summary>
/// Tables of whose rows nothing is known from a version on: their changes were not followed for a while, or the rows go by another key
/// or name since.
/// </summary>
/// <param name="Tables">Numbers of the tables in the store.</param>
/// <param name="Version">What was held up to this version is not true.</param>
public sealed record ForgottenTables(IReadOnlyList<int> Tables, ChangeVersion Version);

/// <summary>Capture cannot go on; the message names the place and the remedy.</summary>
public sealed class CaptureException : Exception
{
    /// <summary>Capture cannot go on.</summary>
    /// <param name="message">The place and the remedy, for a person.</param>
    /// <param name="transient">Whether trying again may help without anybody acting.</param>
    /// <param name="inner">The cause.</param>
    public CaptureException(string message, bool transient, Exception? inner = null)
        : base(message, inner) => Transient = transient;

    /// <summary>Whether trying again may help without anybody acting.</summary>
    public bool Transient { get; }
}
