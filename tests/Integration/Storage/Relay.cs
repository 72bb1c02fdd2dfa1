using System.Net;
using System.Net.Sockets;

namespace CdcOrleans.Integration.Storage;

/// <summary>
/// Passes connections on to a server on loopback. From some byte on, it passes nothing more from the clients to the server and keeps the
/// connections open: to the server, the clients are frozen.
/// </summary>
internal sealed class Relay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly int _server;
    private readonly Task _accepting;
    private readonly TaskCompletionSource _resumed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _left = long.MaxValue;

    public Relay(int server)
    {
        _server = server;
        _listener.Start();
        _accepting = Accept();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Passes so many bytes on from clients to the server, and then no more.</summary>
    public void FreezeAfter(long bytes) => Interlocked.Exchange(ref _left, bytes);

    /// <summary>Passes on what was kept back, and what follows.</summary>
    public void Resume() => _resumed.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        Resume();
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task Accept()
    {
        var pumps = new List<Task>();
        try
        {
            while (true)
                pumps.Add(Connect(await _listener.AcceptTcpClientAsync(_stop.Token)));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(pumps);
        }
    }

    private async Task Connect(TcpClient client)
    {
        using var _ = client;
        using var server = new TcpClient();
        await server.ConnectAsync(IPAddress.Loopback, _server, _stop.Token);
        await Task.WhenAny(Pump(client.GetStream(), server.GetStream(), isUp: true), Pump(server.GetStream(), client.GetStream(), isUp: false));
    }

    private async Task Pump(NetworkStream from, NetworkStream to, bool isUp)
    {
        var bytes = new byte[16 << 10];
        try
        {
            while (await from.ReadAsync(bytes, _stop.Token) is > 0 and var count)
            {
                var passes = isUp ? (int)Math.Clamp(Interlocked.Add(ref _left, -count) + count, 0, count) : count;
                await to.WriteAsync(bytes.AsMemory(0, passes), _stop.Token);
                if (passes == count)
                    continue;
                await _resumed.Task;
                await to.WriteAsync(bytes.AsMemory(passes, count - passes), _stop.Token);
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // One of the two has closed its side.
        }
    }
}
