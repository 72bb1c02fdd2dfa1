using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Kafka;
using CdcOrleans.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CdcOrleans.Integration.Sinks.Contract;

/// <summary>Against a real broker that is started for each test.</summary>
public sealed class KafkaSinkContract : SinkContract
{
    private protected override async Task<ContractRig> Start()
    {
        var broker = await KafkaBroker.Start();
        if (broker.IsOurs)
            return new Rig(broker, await KafkaTopic.Create(broker, partitions: 4, ("max.message.bytes", "20000")));
        await broker.DisposeAsync();
        Assert.Skip($"Needs a broker of its own to stop; this is {broker.Kind}.");
        return null!;
    }

    private sealed class Rig(KafkaBroker broker, KafkaTopic topic) : ContractRig
    {
        private bool _isFrozen;
        private bool _isStopped;

        public override string Topic => topic.Name;

        public override int Flaps => 2;

        public override string StaysSilentWhenClosed => "What the Kafka client still has when it is closed without a broker stays unanswered.";

        public override Func<Task> Hang => async () =>
        {
            await broker.Signal("STOP");
            _isFrozen = true;
        };

        // Unlike other tests, the client may give up on a connection soon.
        public override ISink Open() => new KafkaSink(
            new KafkaSinkConfiguration { Name = "events", Bootstrap = broker.Bootstrap, Options = new Dictionary<string, string> { ["reconnect.backoff.max.ms"] = "500" } },
            TimeProvider.System,
            NullLogger.Instance);

        public override async Task Break()
        {
            await broker.Stop("KILL");
            _isStopped = true;
        }

        public override async Task Mend()
        {
            if (_isFrozen)
                await broker.Signal("CONT");
            if (_isStopped)
                await broker.StartAgain();
            _isFrozen = _isStopped = false;
        }

        public override IReadOnlyList<Got> Received(int least) => [.. topic.Read(least).Select(r => Got.Of(r.Message.Value!))];

        public override async ValueTask DisposeAsync()
        {
            if (_isFrozen)
                await Mend();
            await broker.DisposeAsync();
        }
    }
}
