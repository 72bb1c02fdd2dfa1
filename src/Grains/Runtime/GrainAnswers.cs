using System.Text.Json;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Model.Storage;

namespace CdcOrleans.Grains.Runtime;

/// <summary>What the grains have in common that answer people.</summary>
internal static class GrainAnswers
{
    /// <summary>Answers a question.</summary>
    /// <exception cref="EntityUnavailableException">The control database does not answer.</exception>
    public static async Task<T> Ask<T>(Func<Task<T>> question)
    {
        try
        {
            return await question();
        }
        catch (StateUnavailableException unavailable)
        {
            throw new EntityUnavailableException(unavailable.Message);
        }
    }

    /// <summary>Writes a decision to the audit log.</summary>
    public static Task Record(this IAuditStore audit, string who, string operation, object arguments, string result) =>
        audit.Add(new AuditEntry(0, default, who, operation, JsonSerializer.Serialize(arguments, JsonSerializerOptions.Web), result), CancellationToken.None);

    /// <summary>A state or a verb, as people read it.</summary>
    public static string NameOf(Enum value) => value.ToString().ToLowerInvariant();
}
