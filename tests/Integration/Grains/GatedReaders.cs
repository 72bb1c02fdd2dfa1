using System.Collections.Concurrent;
using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace CdcOrleans.Integration.Grains;

/// <summary>Readers of chunks of 100 rows. The first chunk of a table is read at once; each other one of a gated table when the test lets it.</summary>
internal sealed class GatedReaders(params string[] gated) : IChunkReaderFactory
{
    private IChunkReaderFactory _readers = null!;
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _gates = new(gated.Select(t => KeyValuePair.Create($"public.{t}", new SemaphoreSlim(0))));

    /// <summary>Lets so many more chunks of a table be read.</summary>
    public void Let(string table, int chunks = 1000) => _gates[$"public.{table}"].Release(chunks);

    /// <summary>Puts itself before the usual ones.</summary>
    public void AddTo(IServiceCollection services)
    {
        var usual = services.Last(s => s.ServiceType == typeof(IChunkReaderFactory)).ImplementationType!;
        services.AddSingleton<IChunkReaderFactory>(s =>
        {
            _readers = (IChunkReaderFactory)ActivatorUtilities.CreateInstance(s, usual);
            return this;
        });
    }

    public IChunkReader Create(SourceConfiguration source) => new Gated(_readers.Create(source), _gates);

    private sealed class Gated(IChunkReader reader, ConcurrentDictionary<string, SemaphoreSlim> gates) : IChunkReader
    {
        public Task<BackfillPlan> Plan(BackfillScope scope, CancellationToken cancellation) => reader.Plan(scope, cancellation);

        public Task<BackfillHorizon> TakeHorizon(CancellationToken cancellation) => reader.TakeHorizon(cancellation);

        public Task<string?> Unsettled(BackfillHorizon horizon, CancellationToken cancellation) => reader.Unsettled(horizon, cancellation);

        public async Task<TableChunk> Read(ChunkRequest request, CancellationToken cancellation)
        {
            if (request is { After: not null, Keys: null } && gates.TryGetValue(request.Scope.FullName, out var gate))
                await gate.WaitAsync(cancellation);
            return await reader.Read(request with { Bounds = request.Bounds with { Rows = 100 } }, cancellation);
        }

        public ValueTask DisposeAsync() => reader.DisposeAsync();
    }
}
