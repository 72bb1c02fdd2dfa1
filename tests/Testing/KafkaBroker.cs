using System.Globalization;
using Confluent.Kafka;

namespace CdcOrleans.Testing;

/// <summary>
/// A Kafka broker for tests. In this order: the one at CDC_TEST_KAFKA (its bootstrap address); one of our own from the script
/// <c>bin/broker</c> in the folder CDC_TEST_SERVERS, or in a folder <c>shared/servers</c> beside or above the tests; else librdkafka's
/// mock, which speaks the protocol and keeps what it gets in memory.
/// </summary>
public sealed class KafkaBroker : IAsyncDisposable
{
    private readonly string? _script;
    private readonly string? _data;
    private readonly IClient? _mock;

    private KafkaBroker(string kind, string bootstrap, string? script = null, string? data = null, IClient? mock = null)
    {
        Kind = kind;
        Bootstrap = bootstrap;
        _script = script;
        _data = data;
        _mock = mock;
    }

    /// <summary>What it is: <c>real (…)</c> or <c>mock</c>.</summary>
    public string Kind { get; }

    /// <summary>Address for clients.</summary>
    public string Bootstrap { get; }

    public bool IsReal => _mock is null;

    /// <summary>The mock's client (<see cref="Librdkafka"/>).</summary>
    public Handle MockHandle => _mock?.Handle ?? throw new InvalidOperationException($"This broker is not a mock: {Kind}.");

    /// <summary>Whether it may be stopped, started again and signalled.</summary>
    public bool IsOurs => _script is not null;

    /// <summary>Finds or starts a broker; <paramref name="settings"/> are <c>key=value</c> for one that is started here.</summary>
    public static Task<KafkaBroker> Start(params string[] settings) => Start(null, settings);

    /// <summary>Finds or starts a broker, at a port of the caller's choice when it is started here.</summary>
    public static async Task<KafkaBroker> Start(int? port, params string[] settings)
    {
        if (Environment.GetEnvironmentVariable("CDC_TEST_KAFKA") is { Length: > 0 } given)
            return new KafkaBroker("real (CDC_TEST_KAFKA)", given);
        if (TestServers.Find("broker") is { } script)
        {
            var data = Path.Combine(Path.GetTempPath(), $"cdc-kafka-{Guid.NewGuid():N}");
            string[] at = port is { } own ? ["--port", own.ToString(CultureInfo.InvariantCulture)] : [];
            var bootstrap = await TestServers.Run(script, ["start", "--data", data, .. at, .. settings.SelectMany(s => new[] { "--set", s })]);
            return new KafkaBroker("real (started for the tests)", bootstrap, script, data);
        }

        return Mock();
    }

    /// <summary>Stops our broker, with a signal to its process: TERM, or KILL for a crash.</summary>
    public async Task Stop(string signal = "TERM") => await TestServers.Run(Script, ["stop", "--data", _data!, "--signal", signal]);

    /// <summary>Starts our broker again, with the same data and at the same address.</summary>
    public async Task StartAgain() => await TestServers.Run(Script, ["start", "--data", _data!]);

    /// <summary>Sends our broker's process a signal: STOP freezes it, CONT lets it go on.</summary>
    public Task Signal(string signal) => Stop(signal);

    public async ValueTask DisposeAsync()
    {
        _mock?.Dispose();
        if (_script is null)
            return;
        try
        {
            await Stop("KILL");
        }
        catch (InvalidOperationException)
        {
            // It was stopped by the test.
        }

        Directory.Delete(_data!, recursive: true);
    }

    private string Script => _script ?? throw new InvalidOperationException($"This broker is not ours to stop: {Kind}.");

    /// <summary>Starts a mock, for tests that make a broker refuse what real ones refuse only by chance.</summary>
    public static KafkaBroker Mock()
    {
        var producer = new ProducerBuilder<Null, Null>(new Dictionary<string, string>
        {
            ["bootstrap.servers"] = "127.0.0.1:1",
            ["test.mock.num.brokers"] = "1",
        }).Build();
        using var admin = new DependentAdminClientBuilder(producer.Handle).Build();
        var addresses = admin.GetMetadata(TimeSpan.FromSeconds(10)).Brokers.Select(b => $"{b.Host}:{b.Port}");
        return new KafkaBroker("mock", string.Join(',', addresses), mock: producer);
    }
}
