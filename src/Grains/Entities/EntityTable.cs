using System.Diagnostics.CodeAnalysis;
using CdcOrleans.Grains.Interfaces.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// The live entities of one partition, in order of last use. When the silo's entities hold more bytes than they may, those of this
/// partition that were not used longest, and have nothing to do, are let go. Not safe for concurrent use.
/// </summary>
internal sealed class EntityTable(EntityBudget budget)
{
    private readonly Dictionary<EntityKey, Entity> _entities = [];
    private Entity? _newest;
    private Entity? _oldest;

    public int Count => _entities.Count;

    public bool TryGet(EntityKey key, [MaybeNullWhen(false)] out Entity entity) => _entities.TryGetValue(key, out entity);

    public void Add(Entity entity)
    {
        _entities.Add(entity.Key, entity);
        Link(entity);
        Account(entity);
    }

    /// <summary>The entity was used: it is the last to be let go, and its bytes are counted anew.</summary>
    public void Touch(Entity entity)
    {
        if (!ReferenceEquals(entity, _newest))
        {
            Unlink(entity);
            Link(entity);
        }

        Account(entity);
    }

    /// <summary>Lets idle entities go while the budget is exceeded; looks at no more than a few that are busy.</summary>
    public void Trim()
    {
        if (!budget.IsExceeded)
            return;
        var busy = 0;
        var entity = _oldest;
        while (entity is not null && budget.IsExceeded && busy < 16)
        {
            var next = entity.Newer;
            if (entity.IsIdle)
                Remove(entity);
            else
                busy++;
            entity = next;
        }
    }

    /// <summary>Lets all of them go: the partition ends.</summary>
    public void Clear()
    {
        foreach (var entity in _entities.Values)
            budget.Add(-entity.Counted, -1);
        _entities.Clear();
        _newest = _oldest = null;
    }

    private void Remove(Entity entity)
    {
        Unlink(entity);
        _entities.Remove(entity.Key);
        budget.Add(-entity.Counted, -1);
    }

    private void Account(Entity entity)
    {
        var size = entity.Size;
        if (size != entity.Counted)
        {
            budget.Add(size - entity.Counted, entity.Counted == 0 ? 1 : 0);
            entity.Counted = size;
        }
    }

    private void Link(Entity entity)
    {
        entity.Older = _newest;
        entity.Newer = null;
        if (_newest is not null)
            _newest.Newer = entity;
        _newest = entity;
        _oldest ??= entity;
    }

    private void Unlink(Entity entity)
    {
        if (entity.Newer is not null)
            entity.Newer.Older = entity.Older;
        else
            _newest = entity.Older;
        if (entity.Older is not null)
            entity.Older.Newer = entity.Newer;
        else
            _oldest = entity.Newer;
        entity.Newer = entity.Older = null;
    }
}

/// <summary>Bytes that all live entities of a silo may hold. Safe for concurrent use.</summary>
internal sealed class EntityBudget(long limit)
{
    private long _bytes;
    private long _entities;

    public long Bytes => Interlocked.Read(ref _bytes);

    public long Entities => Interlocked.Read(ref _entities);

    public bool IsExceeded => Bytes > limit;

    public void Add(int bytes, int entities)
    {
        Interlocked.Add(ref _bytes, bytes);
        if (entities != 0)
            Interlocked.Add(ref _entities, entities);
    }
}
