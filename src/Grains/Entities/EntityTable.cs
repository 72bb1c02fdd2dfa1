using System.Diagnostics.CodeAnalysis;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Grains.Entities;

/// <summary>
/// The live entities of one partition, in two orders of last use: those that were created here and not changed since, which have a
/// small share of the silo's budget, and all others. So a long run of inserts passes without pushing out the entities in use.
/// Entities that have nothing to do are let go, those not used longest first, while a share is exceeded. Not safe for concurrent use.
/// </summary>
internal sealed class EntityTable(EntityBudget budget)
{
    /// <summary>How many busy entities in a row end a search for idle ones.</summary>
    private const int MostBusy = 16;

    private readonly Dictionary<EntityKey, Entity> _entities = [];
    private readonly Uses _created = new();
    private readonly Uses _used = new();

    public int Count => _entities.Count;

    public bool TryGet(EntityKey key, [MaybeNullWhen(false)] out Entity entity) => _entities.TryGetValue(key, out entity);

    /// <summary>Adds an entity.</summary>
    /// <param name="entity">The entity.</param>
    /// <param name="created">Whether its first change here created it.</param>
    public void Add(Entity entity, bool created)
    {
        _entities.Add(entity.Key, entity);
        entity.IsCreated = created;
        (created ? _created : _used).Link(entity);
        Account(entity);
    }

    /// <summary>The entity has another change: it is the last to be let go.</summary>
    public void Use(Entity entity)
    {
        if (entity.IsCreated)
        {
            _created.Unlink(entity);
            _created.Bytes -= entity.Counted;
            _used.Bytes += entity.Counted;
            entity.IsCreated = false;
            _used.Link(entity);
        }
        else
        {
            _used.MoveToNewest(entity);
        }
    }

    /// <summary>Counts the entity's bytes anew.</summary>
    public void Account(Entity entity)
    {
        var size = entity.Size;
        if (size == entity.Counted)
            return;
        budget.Add(size - entity.Counted, entity.Counted == 0 ? 1 : 0);
        (entity.IsCreated ? _created : _used).Bytes += size - entity.Counted;
        entity.Counted = size;
    }

    /// <summary>Lets idle entities go while there are too many.</summary>
    public void Trim()
    {
        if (_created.Bytes > budget.CreatedShare)
            Trim(_created, () => _created.Bytes > budget.CreatedShare);
        if (budget.IsExceeded)
        {
            Trim(_used, () => budget.IsExceeded);
            Trim(_created, () => budget.IsExceeded);
        }
    }

    /// <summary>Lets all idle entities go that something is true of.</summary>
    public void Remove(Func<Entity, bool> isMeant)
    {
        foreach (var entity in _entities.Values.Where(e => e.IsIdle && isMeant(e)).ToList())
            Remove(entity.IsCreated ? _created : _used, entity);
    }

    /// <summary>Lets all of them go: the partition ends.</summary>
    public void Clear()
    {
        foreach (var entity in _entities.Values)
            budget.Add(-entity.Counted, -1);
        _entities.Clear();
        _created.Clear();
        _used.Clear();
    }

    private void Trim(Uses uses, Func<bool> isTooMuch)
    {
        var busy = 0;
        var entity = uses.Oldest;
        while (entity is not null && busy < MostBusy && isTooMuch())
        {
            var next = entity.Newer;
            if (entity.IsIdle)
            {
                Remove(uses, entity);
            }
            else
            {
                busy++;
            }

            entity = next;
        }
    }

    private void Remove(Uses uses, Entity entity)
    {
        uses.Unlink(entity);
        uses.Bytes -= entity.Counted;
        _entities.Remove(entity.Key);
        budget.Add(-entity.Counted, -1);
    }

    /// <summary>Entities in the order of their last use, linked through themselves.</summary>
    private sealed class Uses
    {
        private Entity? _newest;

        public Entity? Oldest { get; private set; }

        public long Bytes { get; set; }

        public void MoveToNewest(Entity entity)
        {
            if (ReferenceEquals(entity, _newest))
                return;
            Unlink(entity);
            Link(entity);
        }

        public void Link(Entity entity)
        {
            entity.Older = _newest;
            entity.Newer = null;
            if (_newest is not null)
                _newest.Newer = entity;
            _newest = entity;
            Oldest ??= entity;
        }

        public void Unlink(Entity entity)
        {
            if (entity.Newer is not null)
                entity.Newer.Older = entity.Older;
            else
                _newest = entity.Older;
            if (entity.Older is not null)
                entity.Older.Newer = entity.Newer;
            else
                Oldest = entity.Newer;
            entity.Newer = entity.Older = null;
        }

        public void Clear()
        {
            _newest = Oldest = null;
            Bytes = 0;
        }
    }
}

/// <summary>Bytes that all live entities of a silo may hold. Safe for concurrent use.</summary>
/// <param name="limit">Bytes for all of them.</param>
/// <param name="partitions">Number of partitions that share it, for the share of each.</param>
internal sealed class EntityBudget(long limit, int partitions)
{
    private long _bytes;
    private long _entities;

    public long Bytes => Interlocked.Read(ref _bytes);

    public long Entities => Interlocked.Read(ref _entities);

    public bool IsExceeded => Bytes > limit;

    /// <summary>Bytes that one partition's created and since unchanged entities may hold: an eighth of the whole among all partitions.</summary>
    public long CreatedShare { get; } = limit / 8 / partitions;

    public void Add(int bytes, int entities)
    {
        Interlocked.Add(ref _bytes, bytes);
        if (entities != 0)
            Interlocked.Add(ref _entities, entities);
    }
}
