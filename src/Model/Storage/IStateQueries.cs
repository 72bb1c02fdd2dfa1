using CdcOrleans.Model.Entities;

namespace CdcOrleans.Model.Storage;

/// <summary>
/// Reads durable states for people and programs that ask for them. The questions share a few connections of their own, so that they never
/// take one from checkpoints. Safe for concurrent use.
/// </summary>
public interface IStateQueries
{
    /// <summary>Reads the state of an entity; null where nothing is stored.</summary>
    /// <exception cref="StateUnavailableException">No connection is free, or the control database does not answer.</exception>
    Task<EntityState?> Find(string source, EntityKey key, CancellationToken cancellation);
}

/// <summary>A state cannot be read now. The message has the remedy and no row data.</summary>
public sealed class StateUnavailableException(string message, Exception inner) : Exception(message, inner);
