using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Storage;
using Npgsql;
using Xunit;
using static CdcOrleans.Integration.Storage.SampleStates;

namespace CdcOrleans.Integration.Storage;

/// <summary>Questions for states never take the connections of checkpoints.</summary>
public sealed class StateQueriesTests(ControlServer control)
{
    [Fact]
    public async Task Questions_that_all_wait_leave_checkpoints_their_connections_and_say_so()
    {
        await using var stores = await control.Migrated();
        var table = await stores.BeginShop();
        await stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(1), [State(table, "a", At(1), "x")])]), default);
        Assert.Equal("x", Text(await stores.Queries.Find("shop", new EntityKey("public.orders", "a"), default)));
        Assert.Null(await stores.Queries.Find("shop", new EntityKey("public.orders", "b"), default));
        Assert.Null(await stores.Queries.Find("shop", new EntityKey("public.none", "a"), default));

        await using var slow = new NpgsqlConnection(stores.Connection + ";Pooling=false");
        await slow.OpenAsync();
        await using var transaction = await slow.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("LOCK TABLE cdc.entity_states", slow))
            await hold.ExecuteNonQueryAsync();
        var questions = Enumerable.Range(0, 100).Select(_ => stores.Queries.Find("shop", new EntityKey("public.orders", "a"), default)).ToList();
        await stores.SomeSession("wait_event_type = 'Lock'", sessions: 4);
        Assert.Equal("4", await stores.Scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"));

        // A checkpoint without states needs a connection and not the table.
        await stores.Checkpoints.Commit(new Checkpoint("shop", 1, [Partition(0, 1, At(2))]), default).WaitAsync(TimeSpan.FromSeconds(5));
        var refused = 0;
        foreach (var question in questions.ToList())
        {
            if (await Task.WhenAny(question, Task.Delay(TimeSpan.FromSeconds(5))) != question)
                continue;
            var trouble = await Assert.ThrowsAsync<StateUnavailableException>(() => question);
            Assert.StartsWith("All 4 connections that a silo has for questions to the control database are in use. Remedy:", trouble.Message, StringComparison.Ordinal);
            refused++;
            questions.Remove(question);
        }

        Assert.Equal((96, 4), (refused, questions.Count));
        await transaction.RollbackAsync();
        Assert.All(await Task.WhenAll(questions), s => Assert.Equal("x", Text(s)));
    }
}
