using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CsCheck;
using Xunit;
using static CdcOrleans.Unit.Capture.DecoderUnderTest;

namespace CdcOrleans.Unit.Capture;

public sealed class PgOutputDecoderTests
{
    [Fact]
    public void A_transaction_gives_its_changes_in_order_and_then_its_commit()
    {
        var log = new DecoderUnderTest();
        log.Take(LogWriter.Begin(1000, 1_700_000_000_123_456, 77));
        log.Take(LogWriter.Insert(Orders, LogWriter.Row("1", "x", null, "")), 990);
        log.Take(LogWriter.Update(Orders, LogWriter.Row("1", "y", "z", LogWriter.Unchanged)), 992);
        log.Take(LogWriter.Delete(Orders, 'K', LogWriter.Row("1", null, null, null)), 994);
        log.Take(LogWriter.Commit(1000, 1010));

        Assert.Equal([ChangeOperation.Create, ChangeOperation.Update, ChangeOperation.Delete], log.Changes.Select(c => c.Operation));
        Assert.Equal([1L, 2L, 4L], log.Changes.Select(c => c.Version.Ordinal));
        Assert.All(log.Changes, c => Assert.Equal(new Lsn(1000), c.Version.CommitLsn));
        Assert.All(log.Changes, c => Assert.Equal("public.orders/1", c.Entity.ToString()));
        Assert.Equal([new Lsn(990), new Lsn(992), new Lsn(994)], log.Changes.Select(c => c.Lsn));

        Assert.Equal(["1", "x", null, ""], Values(log.Changes[0].After));
        Assert.False(log.Changes[0].Before.IsPresent);
        Assert.Equal(["1", "y", "z", LogWriter.Unchanged], Values(log.Changes[1].After));
        Assert.False(log.Changes[2].After.IsPresent);
        Assert.True(log.Changes[2].BeforeIsKeyOnly);
        Assert.Equal(["1", null, null, null], Values(log.Changes[2].Before));

        var commit = log.Items[^1];
        Assert.Equal(WalItemKind.Commit, commit.Kind);
        Assert.Equal(new Lsn(1010), commit.EndLsn);
        Assert.Equal(77u, commit.Transaction!.Xid);
        Assert.Equal(1_700_000_000_123_456, commit.Transaction.CommitMicros);
        Assert.Null(commit.Transaction.Origin);
        Assert.All(log.Changes, c => Assert.Same(commit.Transaction, c.Transaction));
    }

    [Fact]
    public void A_transaction_knows_the_commit_before_it_and_counts_anew()
    {
        var log = new DecoderUnderTest();
        log.Transaction(1000, LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));
        log.Transaction(2000);
        log.Transaction(3000, LogWriter.Insert(Orders, LogWriter.Row("2", "", "", "")));

        var commits = log.Items.Where(i => i.Kind == WalItemKind.Commit).Select(i => i.Transaction!).ToList();
        Assert.Equal([Lsn.None, new Lsn(1005), new Lsn(2005)], commits.Select(c => c.PreviousCommitEnd));
        Assert.Equal([1L, 1L], log.Changes.Select(c => c.Version.Ordinal));
    }

    [Fact]
    public void An_origin_belongs_to_its_transaction_only()
    {
        var log = new DecoderUnderTest();
        log.Transaction(1000, LogWriter.Origin("elsewhere"), LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));
        log.Transaction(2000, LogWriter.Insert(Orders, LogWriter.Row("2", "", "", "")));

        Assert.Equal(["elsewhere", null], log.Changes.Select(c => c.Transaction.Origin));
    }

    [Fact]
    public void A_heartbeat_is_a_position_and_what_is_like_it_is_counted()
    {
        var log = new DecoderUnderTest();
        log.Take(LogWriter.Message(false, 500, "cdc.heartbeat", "shop now"));
        log.Take(LogWriter.Message(false, 600, "cdc.heartbeat", "shops now"));
        log.Transaction(1000, LogWriter.Message(true, 990, "cdc.heartbeat", "in a transaction"), LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));

        Assert.Equal([WalItemKind.Position, WalItemKind.Change, WalItemKind.Commit], log.Items.Select(i => i.Kind));
        Assert.Equal(new Lsn(500), log.Items[0].EndLsn);
        Assert.Equal(2, log.MessagesIgnored);
    }

    [Fact]
    public void An_old_key_that_is_not_there_is_no_empty_key()
    {
        var log = new DecoderUnderTest();
        Assert.Throws<InvalidDataException>(() => log.Transaction(
            1000, LogWriter.Update(Orders, 'K', LogWriter.Row(LogWriter.Unchanged, null, null, null), LogWriter.Row("1", "b", "c", "d"))));
    }

    [Theory]
    [InlineData('K')]
    [InlineData('O')]
    public void A_changed_key_is_a_delete_and_a_create(char oldKind)
    {
        var log = new DecoderUnderTest();
        var old = oldKind == 'K' ? LogWriter.Row("1", null, null, null) : LogWriter.Row("1", "b", "c", "long");
        log.Take(LogWriter.Begin(1000, 0, 1));
        log.Take(LogWriter.Update(Orders, oldKind, old, LogWriter.Row("2", "b", "c", LogWriter.Unchanged)), 990);
        log.Take(LogWriter.Insert(Orders, LogWriter.Row("3", "", "", "")), 995);

        Assert.Equal([ChangeOperation.Delete, ChangeOperation.Create, ChangeOperation.Create], log.Changes.Select(c => c.Operation));
        Assert.Equal(["1", "2", "3"], log.Changes.Select(c => c.Entity.Key));
        Assert.Equal([1L, 2L, 3L], log.Changes.Select(c => c.Version.Ordinal));
        Assert.Equal([new Lsn(990), new Lsn(990), new Lsn(995)], log.Changes.Select(c => c.Lsn));
        Assert.Equal(oldKind == 'K', log.Changes[0].BeforeIsKeyOnly);
        // What was left out can be had from the whole old row only.
        Assert.Equal(["2", "b", "c", oldKind == 'K' ? LogWriter.Unchanged : "long"], Values(log.Changes[1].After));
    }

    [Fact]
    public void An_old_row_with_the_same_key_stays_one_update()
    {
        var log = new DecoderUnderTest();
        log.Transaction(1000, LogWriter.Update(Orders, 'O', LogWriter.Row("1", "old", null, "long"), LogWriter.Row("1", "new", null, LogWriter.Unchanged)));

        var update = Assert.Single(log.Changes);
        Assert.Equal(ChangeOperation.Update, update.Operation);
        Assert.False(update.BeforeIsKeyOnly);
        Assert.Equal(["1", "old", null, "long"], Values(update.Before));
        Assert.Equal(["1", "new", null, "long"], Values(update.After));
    }

    [Fact]
    public void A_key_value_left_out_of_the_new_row_comes_from_the_old_key()
    {
        var log = new DecoderUnderTest();
        log.Transaction(
            1000, LogWriter.Update(Orders, 'K', LogWriter.Row("long key", null, null, null), LogWriter.Row(LogWriter.Unchanged, "new", null, LogWriter.Unchanged)));

        var update = Assert.Single(log.Changes);
        Assert.Equal("long key", update.Entity.Key);
        Assert.Equal(["long key", "new", null, LogWriter.Unchanged], Values(update.After));
    }

    [Fact]
    public void A_composite_key_stands_in_its_declared_order()
    {
        var log = new DecoderUnderTest(2, 0);
        log.Transaction(1000, LogWriter.Insert(Orders, LogWriter.Row("a,1", "b", "c\\", "d")));
        Assert.Equal(@"c\\,a\,1", Assert.Single(log.Changes).Entity.Key);
    }

    [Fact]
    public void Changes_that_are_not_selected_are_counted_and_have_their_ordinals()
    {
        var log = new DecoderUnderTest();
        log.Transaction(
            1000,
            LogWriter.Insert(NotSelected, LogWriter.Row("1")), LogWriter.Update(NotSelected, LogWriter.Row("1")), LogWriter.Delete(NotSelected, 'K', LogWriter.Row("1")),
            LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));
        Assert.Equal(5, Assert.Single(log.Changes).Version.Ordinal);
        Assert.Equal(3, log.ChangesNotSelected);
    }

    [Fact]
    public void A_relation_is_announced_whenever_the_log_does_even_word_by_word_the_same()
    {
        var log = new DecoderUnderTest();
        Assert.Equal(Decoded.Relation, log.Take([.. Announcement]));
        Assert.Equal(Decoded.Relation, log.Take(LogWriter.Relation(Orders, "public", "orders", 'd', (true, "a", 25, -1), (false, "b", 25, 7))));
        Assert.Equal(Decoded.Relation, log.Take(LogWriter.Relation(99, "public", "orders", 'd', (true, "a", 25, -1), (false, "b", 25, -1))));
    }

    [Fact]
    public void A_change_after_its_relation_expired_is_decoded_once_that_is_announced_anew()
    {
        var log = new DecoderUnderTest();
        log.Announce(r => new CapturedRelation(r.Announcement, log.Table, r.Events) { Until = new ChangeVersion(new Lsn(1000), 1) });
        log.Take(LogWriter.Begin(1000, 0, 1));
        Assert.Equal(Decoded.Item, log.Take(LogWriter.Insert(Orders, LogWriter.Row("1", "", "", ""))));
        Assert.Equal(Decoded.Expired, log.Take(LogWriter.Insert(Orders, LogWriter.Row("2", "", "", ""))));
        Assert.Equal(Decoded.Expired, log.Take(LogWriter.Update(Orders, LogWriter.Row("2", "", "", ""))));
        Assert.Equal(Decoded.Expired, log.Take(LogWriter.Delete(Orders, 'K', LogWriter.Row("2", null, null, null))));
        Assert.Equal(Decoded.Expired, log.Take(LogWriter.Truncate(NotSelected, Orders)));
        log.Announce(r => new CapturedRelation(r.Announcement, log.Table, r.Events));
        Assert.Equal(Decoded.Item, log.Take(LogWriter.Insert(Orders, LogWriter.Row("2", "", "", ""))));
        Assert.Equal([1L, 2L], log.Changes.Select(c => c.Version.Ordinal));
    }

    [Theory]
    [InlineData("shop\npublic.orders\npublic.items", true)]
    [InlineData("mall\npublic.orders", false)]
    [InlineData("shop", false)]
    public void Tables_that_joined_are_told_by_their_own_source(string content, bool isOurs)
    {
        var log = new DecoderUnderTest();
        log.Take(LogWriter.Begin(1000, 0, 1));
        Assert.Equal(isOurs ? Decoded.Joined : Decoded.Nothing, log.Take(LogWriter.Message(true, 990, "cdc.joined", content)));
        Assert.Equal(isOurs ? ["public.orders", "public.items"] : [], log.Joined);
        Assert.Empty(log.Changes);
    }

    [Fact]
    public void A_relation_message_is_read_whole()
    {
        var message = LogWriter.Relation(42, "", "Odd \"name\"", 'f', (true, "id", 20, -1), (false, "sum", 1700, 655366));
        var reader = new WireReader(message.AsSpan(1));
        var relation = RelationMessage.Read(ref reader);
        Assert.Equal((42u, "pg_catalog", "Odd \"name\"", ReplicaIdentity.Full), (relation.Oid, relation.Schema, relation.Name, relation.Identity));
        Assert.Equal([new RelationColumn(true, "id", 20, -1), new RelationColumn(false, "sum", 1700, 655366)], relation.Columns);
        Assert.True(reader.Rest.IsEmpty);
    }

    [Theory]
    [InlineData("a change outside a transaction")]
    [InlineData("a relation not announced")]
    [InlineData("an unknown message")]
    [InlineData("a row cut short")]
    [InlineData("a binary value")]
    [InlineData("a commit of another transaction")]
    [InlineData("a transaction inside another")]
    [InlineData("a key value left out")]
    public void What_is_not_the_protocol_is_refused(string what)
    {
        var log = new DecoderUnderTest();
        if (what != "a change outside a transaction")
            log.Take(LogWriter.Begin(1000, 0, 1));
        var message = what switch
        {
            "a change outside a transaction" => LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")),
            "a relation not announced" => LogWriter.Insert(1, LogWriter.Row("1")),
            "an unknown message" => [(byte)'?', 0],
            "a row cut short" => LogWriter.Insert(Orders, LogWriter.Row("1", "", "", ""))[..10],
            "a binary value" => LogWriter.Insert(Orders, [0, 4, (byte)'b', 0, 0, 0, 1, 1]),
            "a commit of another transaction" => LogWriter.Commit(999, 1000),
            "a transaction inside another" => LogWriter.Begin(2000, 0, 2),
            _ => LogWriter.Update(Orders, LogWriter.Row(LogWriter.Unchanged, "", "", "")),
        };
        Assert.Throws<InvalidDataException>(() => log.Take(message));
        Assert.Empty(log.Items);
    }

    [Fact]
    public void Any_row_comes_out_as_it_went_in()
    {
        var value = Gen.Frequency((6, Gen.String.Select(s => (string?)s)), (2, Gen.Const((string?)null)), (1, Gen.Const((string?)LogWriter.Unchanged)));
        Gen.Select(Gen.Int.Select(i => i.ToString()), Gen.String.Where(NoSurrogates), value.Array[2])
            .Where((_, _, rest) => rest.All(v => v is null || NoSurrogates(v)))
            .Sample((key, text, rest) =>
            {
                var log = new DecoderUnderTest();
                string?[] row = [key, text, .. rest];
                log.Transaction(1000, LogWriter.Update(Orders, LogWriter.Row(row)));
                var change = Assert.Single(log.Changes);
                Assert.Equal(row, Values(change.After));
                Assert.Equal(LogWriter.Row(row), change.After.ToStorage());
                Assert.Equal(key, change.Entity.Key);
            });
    }

    // A lone surrogate has no UTF-8 form and cannot come from a server.
    private static bool NoSurrogates(string text) => !text.Any(char.IsSurrogate);

    [Theory]
    [InlineData(true, "(unchanged)")]
    [InlineData(false, "large")]
    public void A_whole_old_row_that_may_be_its_key_alone_completes_nothing_else(bool keyOnly, string value)
    {
        var decoder = new DecoderUnderTest { OldRowsAreKeyOnly = keyOnly };
        decoder.Transaction(
            100,
            LogWriter.Update(DecoderUnderTest.Orders, 'O', LogWriter.Row("1", "large", null, null), LogWriter.Row("1", LogWriter.Unchanged, "x", null)),
            LogWriter.Delete(DecoderUnderTest.Orders, 'O', LogWriter.Row("1", "large", null, null)));
        Assert.Equal(value, DecoderUnderTest.Values(decoder.Changes[0].After)[1]);
        Assert.All(decoder.Changes, c => Assert.Equal(keyOnly, c.BeforeIsKeyOnly));
    }

    [Fact]
    public void A_former_owner_of_a_key_that_leaves_after_another_row_has_taken_the_key_is_not_told()
    {
        var log = new DecoderUnderTest();
        log.Transaction(
            1000,
            LogWriter.Update(Orders, 'O', LogWriter.Row("1", "a", null, null), LogWriter.Row("2", "a", null, null)),
            LogWriter.Update(Orders, 'O', LogWriter.Row("2", "b", null, null), LogWriter.Row("2", "b!", null, null)),
            LogWriter.Update(Orders, 'O', LogWriter.Row("2", "a", null, null), LogWriter.Row("2", "a!", null, null)),
            LogWriter.Update(Orders, 'O', LogWriter.Row("2", "b!", null, null), LogWriter.Row("3", "b!", null, null)),
            LogWriter.Delete(Orders, 'O', LogWriter.Row("3", "c", null, null)));
        Assert.Equal(["d 1", "c 2", "u 2", "c 3"], log.Changes.Select(Told));

        // The next transaction knows nothing of this one.
        log.Transaction(2000, LogWriter.Delete(Orders, 'O', LogWriter.Row("2", "other", null, null)));
        Assert.Equal("d 2", Told(log.Changes[^1]));

        static string Told(RowChange change) => $"{(char)char.ToLowerInvariant(change.Operation.ToString()[0])} {change.Entity.Key}";
    }

    [Fact]
    public void A_row_that_took_a_key_and_leaves_it_again_is_told()
    {
        var log = new DecoderUnderTest();
        log.Transaction(
            1000,
            LogWriter.Update(Orders, 'O', LogWriter.Row("1", "a", null, "large"), LogWriter.Row("2", "a", null, LogWriter.Unchanged)),
            LogWriter.Update(Orders, 'O', LogWriter.Row("2", "a", null, "large"), LogWriter.Row("2", "b", null, LogWriter.Unchanged)),
            LogWriter.Delete(Orders, 'O', LogWriter.Row("2", "b", null, "large")));
        Assert.Equal(["Delete", "Create", "Update", "Delete"], log.Changes.Select(c => c.Operation.ToString()));
    }

    [Fact]
    public void After_a_new_announcement_no_row_is_taken_for_a_former_owner()
    {
        var log = new DecoderUnderTest();
        log.Take(LogWriter.Begin(1000, 1, 7));
        log.Take(LogWriter.Update(Orders, 'O', LogWriter.Row("1", "a", null, null), LogWriter.Row("2", "a", null, null)));
        log.Announce(r => r);
        log.Take(LogWriter.Delete(Orders, 'O', LogWriter.Row("2", "a with another form", null, null)));
        Assert.Equal(ChangeOperation.Delete, log.Changes[^1].Operation);
    }
}
