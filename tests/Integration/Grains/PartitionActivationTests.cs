using CdcOrleans.Grains.Interfaces.Partitions;
using CdcOrleans.Grains.Interfaces.Sources;
using CdcOrleans.Integration.Capture;
using CdcOrleans.Integration.Storage;
using CdcOrleans.Model.Changes;
using CdcOrleans.Testing;
using Orleans.Core.Internal;
using Xunit;

namespace CdcOrleans.Integration.Grains;

/// <summary>Partitions whose activation ends while their reader lives, as at every change of the silos.</summary>
public sealed class PartitionActivationTests(ControlServer control, CaptureServer sources) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_partition_that_was_activated_anew_is_opened_again_and_its_reader_goes_on()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 1, "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL)");
        await cluster.Streaming();
        await PostgresServer.Execute(cluster.Source, "INSERT INTO item SELECT i, 0 FROM generate_series(1, 100) AS i");
        await cluster.Arrived(100);
        var reader = cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop");
        var before = await reader.GetStatus();

        for (var n = 1; n <= 5; n++)
        {
            for (var partition = 0; partition < before.Partitions; partition++)
                await cluster.Cluster.Client.GetGrain<IPartitionGrain>($"shop/{partition}").Cast<IGrainManagementExtension>().DeactivateOnIdle();
            await PostgresServer.Execute(cluster.Source, $"UPDATE item SET n = {n}");
            await cluster.Arrived(100 + (100 * n));
        }

        var status = await reader.GetStatus();
        Assert.Equal((SourceState.Streaming, before.Epoch), (status.State, status.Epoch));
        foreach (var entity in cluster.Delivered.GroupBy(d => d.Event.Entity))
            Assert.Equal(entity.Select(d => d.Event.Version).Order(), entity.Select(d => d.Event.Version));
    }

    [Fact]
    public async Task A_batch_of_a_lower_epoch_is_stale_and_one_for_another_activation_means_to_open_it()
    {
        await using var cluster = await InProcessCluster.Start(control, sources.Server, 1, "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL)");
        await cluster.Streaming();
        var partition = cluster.Cluster.Client.GetGrain<IPartitionGrain>("shop/0");
        var epoch = (await cluster.Cluster.Client.GetGrain<IWalReaderGrain>("shop").GetStatus()).Epoch;
        var opened = await partition.Open(epoch);

        await Assert.ThrowsAsync<StaleReaderException>(() => Send(epoch - 1, opened.Generation));
        await Assert.ThrowsAsync<BatchOutOfSequenceException>(() => Send(epoch + 1, opened.Generation));
        await Assert.ThrowsAsync<BatchOutOfSequenceException>(() => Send(epoch, opened.Generation - 1));
        await Send(epoch, opened.Generation);

        Task Send(long of, long to) =>
            partition.Receive(new ChangeBatch { Epoch = of, Generation = to, Sequence = 1, Changes = Array.Empty<RowChange>() }).AsTask();
    }
}
