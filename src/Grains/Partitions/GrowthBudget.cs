using CdcOrleans.Grains.Entities;

namespace CdcOrleans.Grains.Partitions;

/// <summary>
/// Bytes that applies under way may need beyond what their changes were counted with when they were read: an update that leaves large
/// values out is completed from the held row, and the event tells that row twice. Applies that grow little do not ask. Those that do not
/// fit wait their turn, first come, first served, over all partitions of a source on this silo; one larger than the whole passes alone.
/// Safe for concurrent use.
/// </summary>
internal sealed class GrowthBudget(long limit)
{
    /// <summary>Growth of an apply that is not worth a count.</summary>
    public const int Free = 32 << 10;

    private readonly Lock _gate = new();
    private readonly Queue<(Partition Partition, Entity Entity, long Bytes)> _waiting = new();
    private long _bytes;

    /// <summary>Bytes taken.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _bytes;
        }
    }

    /// <summary>Takes bytes for an entity's apply; false when it must wait until its partition hears of it (<see cref="Partition.OnRoom"/>).</summary>
    public bool TryTake(Partition partition, Entity entity, long bytes)
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 && Fits(bytes))
            {
                _bytes += bytes;
                return true;
            }

            _waiting.Enqueue((partition, entity, bytes));
            return false;
        }
    }

    /// <summary>Gives back what an apply took, and tells those that fit now.</summary>
    public void Give(long bytes)
    {
        lock (_gate)
        {
            _bytes -= bytes;
            while (_waiting.TryPeek(out var next) && Fits(next.Bytes))
            {
                _waiting.Dequeue();
                if (next.Partition.OnRoom(next.Entity, next.Bytes))
                    _bytes += next.Bytes;
            }
        }
    }

    private bool Fits(long bytes) => _bytes == 0 || _bytes + bytes <= limit;
}
