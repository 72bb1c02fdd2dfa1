using System.Net.Sockets;

namespace CdcOrleans.Silo.Hosting;

/// <summary>
/// Declares silos dead that ran at this machine's address and do not run any more. A process that was killed leaves its silo in the
/// membership table. Without this, the process that is started next waits until the cluster has noticed by itself that the former one is
/// gone, which takes about ten seconds.
/// </summary>
internal sealed partial class FormerSilos(IMembershipTable table, ILocalSiloDetails local, ILogger<FormerSilos> logger) : ILifecycleParticipant<ISiloLifecycle>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <inheritdoc />
    public void Participate(ISiloLifecycle lifecycle) =>
        lifecycle.Subscribe(nameof(FormerSilos), ServiceLifecycleStage.RuntimeInitialize, DeclareDead);

    // An error here is not the silo's end: the cluster then finds out by itself.
    private async Task DeclareDead(CancellationToken cancellation)
    {
        try
        {
            await table.InitializeMembershipTableAsync(true, cancellation);
            var members = await table.ReadAllAsync(cancellation);
            foreach (var (member, _) in members.Members)
            {
                if (member.Status != SiloStatus.Active || !member.SiloAddress.Endpoint.Address.Equals(local.SiloAddress.Endpoint.Address)
                    || !await Refuses(member.SiloAddress, cancellation))
                    continue;
                await DeclareDead(member.SiloAddress, cancellation);
            }
        }
#pragma warning disable CA1031 // See above.
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
#pragma warning restore CA1031
        {
            LogFailed(logger, exception.Message);
        }
    }

    // Read again, because every update of the table raises its version. When another silo updates it at the same time, the update fails, and
    // the cluster finds out by itself.
    private async Task DeclareDead(SiloAddress silo, CancellationToken cancellation)
    {
        var current = await table.ReadAllAsync(cancellation);
        if (current.Members.FirstOrDefault(m => m.Item1.SiloAddress.Equals(silo)) is not ({ Status: SiloStatus.Active } member, var etag))
            return;
        member.Status = SiloStatus.Dead;
        if (await table.UpdateRowAsync(member, etag, current.Version.Next(), cancellation))
            LogDead(logger, silo);
    }

    // The operating system refuses a connection to a port where nobody listens. A silo listens before it becomes active, and a process that is
    // only slow or frozen does not refuse.
    private static async Task<bool> Refuses(SiloAddress silo, CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(Patience);
        using var socket = new Socket(silo.Endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(silo.Endpoint, patience.Token);
            return false;
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionRefused)
        {
            return true;
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Silo {Silo} ran at this address and does not listen any more: it is declared dead")]
    private static partial void LogDead(ILogger logger, SiloAddress silo);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Silos that ran at this address before could not be looked at: {Error}")]
    private static partial void LogFailed(ILogger logger, string error);
}
