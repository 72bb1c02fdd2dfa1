using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using CdcOrleans.Grains.Interfaces.Backfills;
using CdcOrleans.Grains.Interfaces.Entities;
using CdcOrleans.Grains.Interfaces.Operations;
using CdcOrleans.Grains.Interfaces.Replays;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Model.Changes;
using Xunit;

namespace CdcOrleans.Integration.Gateway;

/// <summary>A cluster of plain objects behind Orleans' grain factory: what is asked of it is scripted by the test.</summary>
internal sealed class FakeCluster
{
    public Dictionary<string, Func<ValueTask<SourceStatus>>> Sources { get; } = [];

    public Dictionary<string, Func<ValueTask<EntityView?>>> Entities { get; } = [];

    /// <summary>The replays.</summary>
    public FakeReplays Replays { get; } = new();

    /// <summary>The backfills.</summary>
    public FakeBackfills Backfills { get; } = new();

    /// <summary>What people ask and decide about.</summary>
    public FakeOperations Operations { get; } = new();

    /// <summary>The journals.</summary>
    public FakeJournals Journals { get; } = new();

    /// <summary>Keys of entity grains that were asked, in order.</summary>
    public List<string> Asked { get; } = [];

    public IGrainFactory Factory
    {
        get
        {
            var factory = DispatchProxy.Create<IGrainFactory, GrainFactory>();
            ((GrainFactory)(object)factory).Cluster = this;
            return factory;
        }
    }

    private object Grain(Type type, string key)
    {
        if (type == typeof(IWalReaderGrain))
            return new Reader(Sources[key]);
        if (type == typeof(IOperationsGrain))
            return Operations;
        if (type == typeof(IJournalGrain))
            return Journals;
        if (type == typeof(IReplaysGrain))
            return Replays;
        if (type == typeof(IBackfillsGrain))
            return Backfills;
        Assert.Equal(typeof(IEntityGrain), type);
        Asked.Add(key);
        return new EntityGrain(Entities.GetValueOrDefault(key) ?? (() => ValueTask.FromResult<EntityView?>(null)));
    }

    private sealed class Reader(Func<ValueTask<SourceStatus>> status) : IWalReaderGrain
    {
        public ValueTask EnsureRunning() => throw new NotSupportedException();

        public ValueTask ReportProgress(ProgressReport report) => throw new NotSupportedException();

        public ValueTask WriteHeartbeat() => default;

        public ValueTask<SourceStatus> GetStatus() => status();
    }

    private sealed class EntityGrain(Func<ValueTask<EntityView?>> state) : IEntityGrain
    {
        public ValueTask<EntityView?> GetState() => state();

        public ValueTask<StoredRow> ReadRow(long epoch, ChangeVersion lastSent) => throw new NotSupportedException();

        public ValueTask<bool> Wake(long generation) => throw new NotSupportedException();
    }

    /// <summary>Only <c>GetGrain&lt;T&gt;(string)</c> is used by the gateway.</summary>
    [SuppressMessage("Performance", "CA1852", Justification = "The proxy derives from it.")]
    public class GrainFactory : DispatchProxy
    {
        internal FakeCluster? Cluster { get; set; }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            targetMethod is { Name: "GetGrain", IsGenericMethod: true } && args is [string key, ..]
                ? Cluster!.Grain(targetMethod.GetGenericArguments()[0], key)
                : throw new NotSupportedException(targetMethod?.Name);
    }
}
