using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Capture.Postgres.Schemas;

/// <summary>
/// A schema store that reports its failures as failures of the control database, so that nobody looks for them at the source.
/// </summary>
internal sealed class NamedSchemaStore(SourceConfiguration source, ISchemaStore store) : ISchemaStore
{
    public Task<TableSchema> Register(string source, TableSchema schema, CancellationToken cancellation) =>
        Named(() => store.Register(source, schema, cancellation));

    public async ValueTask<TableSchema> Get(int tableId, int version, CancellationToken cancellation) =>
        await Named(() => store.Get(tableId, version, cancellation).AsTask());

    public Task<TableSchema?> FindLatest(string source, string table, CancellationToken cancellation) =>
        Named(() => store.FindLatest(source, table, cancellation));

    public async ValueTask<int?> FindTable(string source, string table, CancellationToken cancellation) =>
        await Named(() => store.FindTable(source, table, cancellation).AsTask());

    public Task<IReadOnlyList<RelationRecord>> History(string source, uint oid, CancellationToken cancellation) =>
        Named(() => store.History(source, oid, cancellation));

    public Task Record(string source, uint oid, RelationRecord record, CancellationToken cancellation) =>
        Named(() => store.Record(source, oid, record, cancellation));

    public Task<IReadOnlyDictionary<uint, SeenOrigin>> Origins(string source, CancellationToken cancellation) =>
        Named(() => store.Origins(source, cancellation));

    public Task SaveOrigins(string source, IReadOnlyDictionary<uint, SeenOrigin> origins, CancellationToken cancellation) =>
        Named(() => store.SaveOrigins(source, origins, cancellation));

    public Task<uint?> LatestRelation(string source, int tableId, CancellationToken cancellation) =>
        Named(() => store.LatestRelation(source, tableId, cancellation));

    private Task<bool> Named(Func<Task> action) => Named(async () =>
    {
        await action();
        return true;
    });

    private async Task<T> Named<T>(Func<Task<T>> question)
    {
        try
        {
            return await question();
        }
        catch (Exception exception) when (exception is not (CaptureException or OperationCanceledException))
        {
            throw new CaptureException(
                $"control: schemas of tables of source {source.Name} could not be read or stored: {exception.Message} Check the control database.",
                transient: true, exception);
        }
    }
}
