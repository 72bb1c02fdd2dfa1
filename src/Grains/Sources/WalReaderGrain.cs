using CdcOrleans.Grains.Interfaces.Sources;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

namespace CdcOrleans.Grains.Sources;

/// <summary>
/// The grain of a source's <see cref="WalReader"/>. It starts the reader, passes progress to it and returns its status. It stops the reader
/// before the silo stops. When the silo fails, a reminder activates the grain on another silo.
/// </summary>
[KeepAlive]
[Reentrant]
internal sealed partial class WalReaderGrain(WalReaders readers, ILocalSiloDetails silo, ILogger<WalReaderGrain> logger)
    : Grain, IWalReaderGrain, IRemindable
{
    private const string Reminder = "wal-reader";
    private static readonly TimeSpan ReminderPeriod = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);

    private string _source = "";
    private WalReader? _reader;

    /// <inheritdoc />
    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _source = this.GetPrimaryKeyString();
        await this.RegisterOrUpdateReminder(Reminder, ReminderPeriod, ReminderPeriod, cancellationToken);
        Start();
    }

    /// <inheritdoc />
    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        if (_reader is not { } reader)
            return;
        LogStopping(logger, _source, reason.ReasonCode);

        // Unless the silo stops, another activation may have taken over, and gets the progress that this reader would wait for.
        await reader.Stop(reason.ReasonCode == DeactivationReasonCode.ShuttingDown ? StopPatience : TimeSpan.Zero);
        await reader.DisposeAsync();
        readers.Ended(_source, reader);
    }

    /// <inheritdoc />
    public ValueTask EnsureRunning()
    {
        Start();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public Task ReceiveReminder(string reminderName, TickStatus status) => Task.CompletedTask;

    /// <inheritdoc />
    public ValueTask ReportProgress(ProgressReport report)
    {
        _reader?.Report(report);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public async ValueTask WriteHeartbeat()
    {
        if (_reader is { } reader)
            await reader.WriteHeartbeat();
    }

    /// <inheritdoc />
    public ValueTask<SourceStatus> GetStatus() =>
        ValueTask.FromResult(_reader?.Status() ?? throw new InvalidOperationException("The reader has not started yet."));

    private void Start()
    {
        if (_reader is not null)
            return;
        _reader = readers.Start(_source, GrainFactory, silo.SiloAddress.ToParsableString());
        _ = LeaveWhenEnded(_reader);
    }

    // A reader that ended by itself is stale, so its activation must not answer for the source any longer.
    private async Task LeaveWhenEnded(WalReader reader)
    {
        await reader.Ended;
        DeactivateOnIdle();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source}: reader stops: {Reason}")]
    private static partial void LogStopping(ILogger logger, string source, DeactivationReasonCode reason);
}
