using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Integration.Capture;

/// <summary>Numbers schemas as the control database does, in memory.</summary>
internal sealed class MemorySchemaStore : ISchemaStore
{
    private readonly Lock _lock = new();
    private readonly List<(string Source, TableSchema Schema)> _schemas = [];

    private readonly List<(string Source, uint Oid, RelationRecord Record)> _relations = [];

    private readonly Dictionary<(string Source, uint Oid), SeenOrigin> _origins = [];

    public int Registrations { get; private set; }

    public Task<TableSchema> Register(string source, TableSchema schema, CancellationToken cancellation)
    {
        lock (_lock)
        {
            Registrations++;
            var same = _schemas.Where(s => s.Source == source && s.Schema.FullName == schema.FullName).Select(s => s.Schema).ToList();
            var known = same.Find(s => s.Columns.SequenceEqual(schema.Columns) && s.Key.SequenceEqual(schema.Key) && s.InsertsOnly == schema.InsertsOnly && s.RelationOid == schema.RelationOid);
            if (known is not null)
                return Task.FromResult(known);
            var numbered = new TableSchema
            {
                TableId = same.Count > 0 ? same[0].TableId : _schemas.Select(s => s.Schema.TableId).DefaultIfEmpty().Max() + 1,
                Version = same.Count + 1,
                Schema = schema.Schema,
                Name = schema.Name,
                Columns = schema.Columns,
                Key = schema.Key,
                InsertsOnly = schema.InsertsOnly,
                RelationOid = schema.RelationOid,
            };
            _schemas.Add((source, numbered));
            return Task.FromResult(numbered);
        }
    }

    public ValueTask<TableSchema> Get(int tableId, int version, CancellationToken cancellation)
    {
        lock (_lock)
        {
            var found = _schemas.Find(s => s.Schema.TableId == tableId && s.Schema.Version == version).Schema;
            return ValueTask.FromResult(found ?? throw new KeyNotFoundException());
        }
    }

    public Task<TableSchema?> FindLatest(string source, string table, CancellationToken cancellation)
    {
        lock (_lock)
            return Task.FromResult<TableSchema?>(_schemas.FindLast(s => s.Source == source && s.Schema.FullName == table).Schema);
    }

    public ValueTask<int?> FindTable(string source, string table, CancellationToken cancellation)
    {
        lock (_lock)
            return ValueTask.FromResult(_schemas.Find(s => s.Source == source && s.Schema.FullName == table).Schema?.TableId);
    }

    public Task<IReadOnlyList<RelationRecord>> History(string source, uint oid, CancellationToken cancellation)
    {
        lock (_lock)
            return Task.FromResult<IReadOnlyList<RelationRecord>>([.. _relations.Where(r => r.Source == source && r.Oid == oid).Select(r => r.Record).OrderBy(r => r.From)]);
    }

    public Task Record(string source, uint oid, RelationRecord record, CancellationToken cancellation)
    {
        lock (_lock)
        {
            _relations.RemoveAll(r => r.Source == source && r.Oid == oid && r.Record.From == record.From);
            _relations.Add((source, oid, record));
        }

        return Task.CompletedTask;
    }

    public Task<IReadOnlyDictionary<uint, SeenOrigin>> Origins(string source, CancellationToken cancellation)
    {
        lock (_lock)
            return Task.FromResult<IReadOnlyDictionary<uint, SeenOrigin>>(_origins.Where(o => o.Key.Source == source).ToDictionary(o => o.Key.Oid, o => o.Value));
    }

    public Task SaveOrigins(string source, IReadOnlyDictionary<uint, SeenOrigin> origins, CancellationToken cancellation)
    {
        lock (_lock)
        {
            foreach (var (oid, origin) in origins)
                _origins[(source, oid)] = origin;
        }

        return Task.CompletedTask;
    }

    public Task<uint?> LatestRelation(string source, int tableId, CancellationToken cancellation)
    {
        lock (_lock)
        {
            var latest = _relations.Where(r => r.Source == source && r.Record.Table.TableId == tableId).OrderBy(r => r.Record.From).ToList();
            return Task.FromResult<uint?>(latest.Count > 0 ? latest[^1].Oid : null);
        }
    }
}
