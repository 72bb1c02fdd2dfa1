using System.Collections.Immutable;
using CdcOrleans.Configuration.Reading;

namespace CdcOrleans.Configuration.Pipeline;

/// <summary>Reads the replicas of a source: names, and their connection strings.</summary>
internal static class ReplicaReading
{
    /// <summary>Reads all; empty without any. A replica that cannot be used is reported, and is there all the same, so that its name is known.</summary>
    public static IReadOnlyDictionary<string, string> All(Value? value)
    {
        if (value?.AsNames() is not { } names)
            return ImmutableDictionary<string, string>.Empty;
        var replicas = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (names.Values.Count == 0)
            names.Refuse($"is empty; name at least one standby, such as 'standby: {ConnectionText.Example}', or leave it out");
        foreach (var (name, connection) in names.Values)
        {
            if (!PipelineReading.IsName(name))
                connection.RefuseKey($"'{name}' is not a name of a replica; write letters, digits, '_' and '-'");
            ConnectionText.Check(connection);
            replicas.Add(name, connection.AsText() ?? "");
        }

        return replicas;
    }
}
