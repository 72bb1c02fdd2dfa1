using System.Globalization;
using CdcOrleans.Model.Configuration;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace CdcOrleans.Sinks.Kafka;

/// <summary>Creates topics.</summary>
/// <param name="settings">Settings of its client.</param>
/// <param name="creation">How topics are created.</param>
/// <param name="log">Takes what the client logs: the facility and the message.</param>
internal sealed class TopicCreator(KafkaSettings settings, TopicCreation creation, Action<string, string> log)
{
    /// <summary>Creates topics that do not exist. Returns those that it created, and what went wrong with others.</summary>
    public async Task<(IReadOnlyList<string> Created, IReadOnlyList<string> Errors)> Create(IEnumerable<string> topics, CancellationToken cancellation)
    {
        using var client = new AdminClientBuilder(settings.ForAdministration()).SetLogHandler((_, message) => log(message.Facility, message.Message)).Build();
        var created = new List<string>();
        var errors = new List<string>();
        foreach (var topic in topics)
        {
            try
            {
                await client.CreateTopicsAsync([Specification(topic)]).WaitAsync(cancellation);
                created.Add(topic);
            }
            catch (KafkaException refused)
            {
                var outcome = refused is CreateTopicsException { Results: [{ } result, ..] } ? result.Error : refused.Error;
                if (outcome.Code != ErrorCode.TopicAlreadyExists)
                    errors.Add(string.Create(CultureInfo.InvariantCulture, $"Topic '{topic}' could not be created: {outcome.Reason} ({outcome.Code})."));
            }
        }

        return (created, errors);
    }

    private TopicSpecification Specification(string topic) => new()
    {
        Name = topic,
        NumPartitions = creation.Partitions ?? -1,
        ReplicationFactor = (short)(creation.Replication ?? -1),
        Configs = creation.Compact ? new Dictionary<string, string> { ["cleanup.policy"] = "compact" } : null,
    };
}
