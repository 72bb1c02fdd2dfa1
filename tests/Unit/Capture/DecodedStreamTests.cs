using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using Xunit;
using static CdcOrleans.Unit.Capture.DecoderUnderTest;

namespace CdcOrleans.Unit.Capture;

/// <summary>What of the log is not a row.</summary>
public sealed class DecodedStreamTests
{
    private static readonly SourceConfiguration Source = new() { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [] };

    [Fact]
    public void A_truncation_is_a_change_of_each_selected_table()
    {
        var log = new DecoderUnderTest();
        log.Transaction(
            1000, LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")), LogWriter.Type(), LogWriter.Truncate(Orders, NotSelected, Orders));

        Assert.Equal([ChangeOperation.Create, ChangeOperation.Truncate, ChangeOperation.Truncate], log.Changes.Select(c => c.Operation));
        Assert.Equal([1L, 2L, 4L], log.Changes.Select(c => c.Version.Ordinal));
        Assert.Equal("public.orders/", log.Changes[1].Entity.ToString());
        Assert.False(log.Changes[1].Before.IsPresent || log.Changes[1].After.IsPresent);
        Assert.Equal(1, log.ChangesNotSelected);
        Assert.Equal(WalItemKind.Commit, log.Items[^1].Kind);
    }

    [Fact]
    public void A_message_in_a_transaction_has_its_place_there()
    {
        var log = new DecoderUnderTest();
        log.Transaction(
            1000, LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")), LogWriter.Message(true, 992, "out,box", "hé"), LogWriter.Insert(Orders, LogWriter.Row("2", "", "", "")));

        Assert.Equal([ChangeOperation.Create, ChangeOperation.Message, ChangeOperation.Create], log.Changes.Select(c => c.Operation));
        var message = log.Changes[1];
        Assert.Equal(new ChangeVersion(new Lsn(1000), 2), message.Version);
        Assert.Equal(new Lsn(992), message.Lsn);
        Assert.Equal(7u, message.Transaction.Xid);
        Assert.Same(SourceStreams.Messages, message.Table);
        Assert.Equal(@"message/out\,box", message.Entity.ToString());
        Assert.Equal(["out,box", @"\x68c3a9"], Values(message.After));
    }

    [Theory]
    [InlineData(12, false)]
    [InlineData(11, true)]
    public void A_message_counts_with_the_bytes_of_its_text_form(int limit, bool isLeftOut)
    {
        var log = new DecoderUnderTest(Source with { LargeValues = new LargeValueOptions { Limit = limit } }, [0]);
        log.Take(LogWriter.Message(false, 600, "note", "hello"));
        var message = Assert.Single(log.Changes);
        Assert.Equal(isLeftOut, message.HasOmitted);
        Assert.Equal(["note", isLeftOut ? LeftOut : @"\x68656c6c6f"], Values(message.After));
    }

    [Fact]
    public void A_message_by_itself_is_told_with_its_own_position_and_the_servers_time()
    {
        var log = new DecoderUnderTest();
        log.Take(LogWriter.Message(false, 600, "note", ""));

        Assert.Equal([WalItemKind.Change, WalItemKind.Position], log.Items.Select(i => i.Kind));
        var message = Assert.Single(log.Changes);
        Assert.Equal(new ChangeVersion(new Lsn(599), 1), message.Version);
        Assert.Equal(new Lsn(600), message.Lsn);
        Assert.Equal(0u, message.Transaction.Xid);
        Assert.Equal((Clock - DateTime.UnixEpoch).Ticks / 10, message.Transaction.CommitMicros);
        Assert.Equal(new Lsn(600), log.Items[1].EndLsn);
    }

    [Theory]
    [InlineData("outbox", true)]
    [InlineData("audit.login", true)]
    [InlineData("audit", false)]
    [InlineData("Outbox", false)]
    public void Only_messages_of_chosen_prefixes_are_captured(string prefix, bool isCaptured)
    {
        var log = new DecoderUnderTest(Source with { Messages = ["outbox", "audit.*"] }, [0]);
        log.Take(LogWriter.Message(false, 600, prefix, "x"));
        Assert.Equal(isCaptured ? 1 : 0, log.Changes.Count);
        Assert.Equal(isCaptured ? 0 : 1, log.MessagesIgnored);
    }

    [Fact]
    public void A_heartbeat_is_an_event_where_that_is_asked_for()
    {
        var log = new DecoderUnderTest(Source with { HeartbeatEvents = true }, [0]);
        log.Take(LogWriter.Message(false, 500, "cdc.heartbeat", "shop 2026-11-22T10:00:00.5000000+00:00"));
        log.Take(LogWriter.Message(false, 600, "cdc.heartbeat", "shop no time"));

        Assert.Equal([WalItemKind.Change, WalItemKind.Position, WalItemKind.Position], log.Items.Select(i => i.Kind));
        var beat = Assert.Single(log.Changes);
        Assert.Equal(ChangeOperation.Heartbeat, beat.Operation);
        Assert.Equal(["shop", "1795341600500"], Values(beat.After));
    }

    [Fact]
    public void A_heartbeat_of_another_source_is_none_of_ours()
    {
        var log = new DecoderUnderTest(Source with { HeartbeatEvents = true }, [0]);
        log.Take(LogWriter.Message(false, 500, "cdc.heartbeat", "shop2 2026-11-22T10:00:00.5000000+00:00"));
        Assert.Empty(log.Items);
        Assert.Equal(1, log.MessagesIgnored);
        log.Take(LogWriter.Message(false, 600, "cdc.heartbeats of others", "shop "));
        Assert.Equal(ChangeOperation.Message, Assert.Single(log.Changes).Operation);
    }

    [Fact]
    public void A_transaction_is_told_with_its_begin_its_end_and_each_events_place()
    {
        var log = new DecoderUnderTest(Source with { Transactions = true }, [0]);
        log.Transaction(
            1000,
            LogWriter.Update(Orders, 'K', LogWriter.Row("1", null, null, null), LogWriter.Row("2", "b", "c", "d")),
            LogWriter.Truncate(Orders),
            LogWriter.Message(true, 991, "note", ""),
            LogWriter.Insert(Orders, LogWriter.Row("3", "", "", "")));
        log.Transaction(2000, LogWriter.Truncate(Orders));

        Assert.Equal(
            [
                ChangeOperation.Transaction, ChangeOperation.Delete, ChangeOperation.Create, ChangeOperation.Truncate, ChangeOperation.Message, ChangeOperation.Create, ChangeOperation.Transaction,
                ChangeOperation.Transaction, ChangeOperation.Truncate, ChangeOperation.Transaction,
            ],
            log.Changes.Select(c => c.Operation));
        // The truncation makes no event by default, so it has no place among them.
        Assert.Equal([0, 1, 2, 0, 3, 4, 0, 0, 0, 0], log.Changes.Select(c => c.TotalOrder));
        Assert.Equal([0, 1, 2, 0, 1, 3, 0, 0, 0, 0], log.Changes.Select(c => c.TableOrder));
        Assert.Equal([0L, 1, 2, 3, 4, 5, 6, 0, 1, 2], log.Changes.Select(c => c.Version.Ordinal));
        Assert.Equal(["BEGIN", "7:980", null, null, "1700000000000"], Values(log.Changes[0].After));
        Assert.Equal(["END", "7:1005", "4", """[{"data_collection":"public.orders","event_count":3},{"data_collection":"message","event_count":1}]""", "1700000000000"], Values(log.Changes[6].After));
        Assert.Equal(["END", "7:2005", "0", "[]", "1700000000000"], Values(log.Changes[9].After));
        Assert.Equal(WalItemKind.Commit, log.Items[7].Kind);
    }

    [Theory]
    [InlineData("note")]
    [InlineData("another")]
    public void A_change_has_the_same_version_whatever_else_is_captured(string captured)
    {
        var log = new DecoderUnderTest(Source with { Messages = [captured], Transactions = captured == "note" }, [0]);
        log.Transaction(
            1000,
            LogWriter.Message(true, 990, "note", ""), LogWriter.Insert(NotSelected, LogWriter.Row("1")), LogWriter.Truncate(NotSelected),
            LogWriter.Update(NotSelected, LogWriter.Row("1")), LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));
        Assert.Equal(6, log.Changes.Single(c => c.Operation == ChangeOperation.Create).Version.Ordinal);
    }

    [Fact]
    public void The_begin_comes_before_what_makes_no_event()
    {
        var log = new DecoderUnderTest(
            Source with { Transactions = true, Events = new EventOptions { Skip = SkippedOperations.Delete | SkippedOperations.Truncate } }, [0]);
        log.Transaction(
            1000,
            LogWriter.Truncate(Orders),
            LogWriter.Update(Orders, 'K', LogWriter.Row("1", null, null, null), LogWriter.Row("2", "b", "c", "d")));

        Assert.Equal(
            [ChangeOperation.Transaction, ChangeOperation.Truncate, ChangeOperation.Delete, ChangeOperation.Create, ChangeOperation.Transaction],
            log.Changes.Select(c => c.Operation));
        Assert.Equal([0L, 1, 2, 3, 4], log.Changes.Select(c => c.Version.Ordinal));
        Assert.Equal([0, 0, 0, 1, 0], log.Changes.Select(c => c.TotalOrder));
    }

    [Fact]
    public void A_message_that_ends_where_a_commit_record_begins_has_a_version_of_its_own()
    {
        var log = new DecoderUnderTest(Source with { Transactions = true }, [0]);
        log.Transaction(500, LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));
        log.Take(LogWriter.Message(false, 1000, "note", ""));
        log.Transaction(1000, LogWriter.Insert(Orders, LogWriter.Row("2", "", "", "")));
        Assert.Equal(log.Changes.Select(c => c.Version).Distinct().Order(), log.Changes.Select(c => c.Version));
        Assert.Equal(7, log.Changes.Count);
    }

    [Fact]
    public void An_origin_tells_its_own_position()
    {
        var log = new DecoderUnderTest();
        log.Transaction(1000, LogWriter.Origin("elsewhere"), LogWriter.Insert(Orders, LogWriter.Row("1", "", "", "")));
        log.Transaction(2000, LogWriter.Insert(Orders, LogWriter.Row("2", "", "", "")));
        Assert.Equal([new Lsn(1), Lsn.None], log.Changes.Select(c => c.Transaction.OriginLsn));
    }
}
