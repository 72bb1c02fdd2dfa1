using System.Text;
using CdcOrleans.Capture.Postgres;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Integration.Capture;

/// <summary>A capture of one database, and its stream.</summary>
internal sealed class CaptureUnderTest : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly ServiceProvider _services;

    public CaptureUnderTest(string name, string database, string[] tables, string? connection = null, Func<SourceConfiguration, SourceConfiguration>? configure = null)
        : this(database, Configured(name, connection ?? database, tables, configure), new MemorySchemaStore())
    {
    }

    private CaptureUnderTest(string database, SourceConfiguration source, MemorySchemaStore schemas)
    {
        Database = database;
        Source = source;
        Schemas = schemas;
        _services = new ServiceCollection()
            .AddLogging(logging => logging.AddProvider(Log))
            .AddSingleton<ISchemaStore>(Schemas)
            .AddPostgresCapture()
            .BuildServiceProvider();
        Capture = _services.GetRequiredService<ISourceCaptureFactory>().Create(Source);
        Chunks = _services.GetRequiredService<IChunkReaderFactory>().Create(Source);
    }

    public string Database { get; }

    public SourceConfiguration Source { get; }

    public ISourceCapture Capture { get; }

    public IChunkReader Chunks { get; }

    public MemorySchemaStore Schemas { get; }

    public RecordedLog Log { get; } = new();

    public IWalStream Stream { get; private set; } = null!;

    /// <summary>The same source under another configuration, with the schemas that are known, or with others.</summary>
    public CaptureUnderTest Again(Func<SourceConfiguration, SourceConfiguration> configure, MemorySchemaStore? schemas = null) =>
        new(Database, configure(Source), schemas ?? Schemas);

    public async Task Start()
    {
        await Capture.Prepare(null, CancellationToken.None);
        await Restart();
    }

    public async Task Restart()
    {
        if (Stream is not null)
            await Stream.DisposeAsync();
        Stream = await Capture.Stream(null, CancellationToken.None);
    }

    public Task Execute(string sql) => PostgresServer.Execute(Database, sql);

    public Task<string?> Scalar(string sql) => PostgresServer.Scalar(Database, sql);

    public async Task<WalItem> Next()
    {
        using var patience = new CancellationTokenSource(Patience);
        return await Stream.Read(patience.Token);
    }

    /// <summary>The changes of the next transaction that has any, and its commit.</summary>
    public async Task<(List<RowChange> Changes, WalItem Commit)> NextTransaction()
    {
        var changes = new List<RowChange>();
        while (true)
        {
            var item = await Next();
            if (item.Kind == WalItemKind.Change)
                changes.Add(item.Change!);
            else if (item.Kind == WalItemKind.Commit && changes.Count > 0)
                return (changes, item);
        }
    }

    /// <summary>Waits for a condition of the server.</summary>
    public async Task Until(string condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (await Scalar($"SELECT ({condition})::text") is not ("true" or "True"))
            await Task.Delay(20, patience.Token);
    }

    public static string?[] Values(RowImage image)
    {
        var values = new List<string?>();
        foreach (var column in image)
            values.Add(column.Kind == ColumnKind.Text ? Encoding.UTF8.GetString(column.Text) : column.Kind == ColumnKind.Null ? null : "(unchanged)");
        return [.. values];
    }

    private static SourceConfiguration Configured(string name, string connection, string[] tables, Func<SourceConfiguration, SourceConfiguration>? configure)
    {
        var source = new SourceConfiguration
        {
            Name = name,
            Connection = connection,
            Slot = $"slot_{name}",
            Publication = $"publication {name}'s \"own\"",
            Tables = [.. tables.Select(t => new TableSelection { Pattern = t })],
        };
        return configure?.Invoke(source) ?? source;
    }

    public async ValueTask DisposeAsync()
    {
        if (Stream is not null)
            await Stream.DisposeAsync();
        await Capture.DisposeAsync();
        await Chunks.DisposeAsync();
        await _services.DisposeAsync();
    }
}
