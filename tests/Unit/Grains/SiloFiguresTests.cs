using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Grains.Sources;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>Which silos the status of a source shows.</summary>
public sealed class SiloFiguresTests
{
    [Fact]
    public async Task A_silo_that_reports_no_longer_leaves_the_status_after_half_a_minute_and_comes_back_with_its_next_report()
    {
        var time = new FakeTimeProvider();
        await using var reader = new WalReader(
            new SourceConfiguration { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [] },
            new Capture(), new FakeStore(), new Positions(), FakeGrains.Of([]), time, NullLogger.Instance, "reader");
        Report("gone", 5);
        Report("stays", 7);
        time.Advance(TimeSpan.FromSeconds(29));
        Report("stays", 8);
        Assert.Equal([("gone", 5L), ("stays", 8L)], Shown());
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal([("stays", 8L)], Shown());
        Report("gone", 1);
        Assert.Equal([("gone", 1L), ("stays", 8L)], Shown());

        void Report(string silo, long finished) =>
            reader.Report(new ProgressReport { Epoch = 1, Silo = silo, Partitions = [], Figures = new SiloFigures { Finished = finished } });

        IEnumerable<(string, long)> Shown() => reader.Status().Silos.OrderBy(s => s.Key).Select(s => (s.Key, s.Value.Finished));
    }

    /// <summary>A server that never answers.</summary>
    private sealed class Capture : ISourceCapture
    {
        public IReadOnlyList<string> LeftOut => [];

        public string? Waiting => null;

        public async Task<CaptureFacts> Prepare(Func<CancellationToken, Task<ConfirmedPosition?>>? lastConfirmed, CancellationToken cancellation)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellation);
            throw new NotSupportedException();
        }

        public Task<IReadOnlyList<string>> Check(CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IReadOnlyList<string>> Watch(CancellationToken cancellation) => throw new NotSupportedException();

        public Task<IWalStream> Stream(Func<Lsn, CancellationToken, Task>? reporting, CancellationToken cancellation) => throw new NotSupportedException();

        public Task Heartbeat(CancellationToken cancellation) => throw new NotSupportedException();

        Task<SourcePositions> ISourceCapture.Positions(CancellationToken cancellation) => throw new NotSupportedException();

        public Task<bool> EndStaleReader(CancellationToken cancellation) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => default;
    }

    private sealed class Positions : IConfirmedPositions
    {
        public Task<ConfirmedPosition?> Find(string source, CancellationToken cancellation) => throw new NotSupportedException();

        public Task Set(string source, long epoch, ServerLog log, Lsn confirmed, CancellationToken cancellation) => throw new NotSupportedException();

        public Task Reset(string source, long epoch, ServerLog log, Lsn confirmed, IReadOnlyCollection<string> doubted, CancellationToken cancellation) => throw new NotSupportedException();
    }
}
