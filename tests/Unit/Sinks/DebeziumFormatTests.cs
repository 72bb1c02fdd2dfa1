using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Sinks;

public sealed class DebeziumFormatTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddTicks(17953839745449525);

    private static readonly TableSchema Orders = Rows.Table(("id", 20, -1), ("status", 25, -1), ("total", 1700, -1));

    private readonly DebeziumFormat _format = new(new FakeTimeProvider(Now));

    [Fact]
    public void Create_is_the_envelope_of_debezium_byte_for_byte()
    {
        var created = Rows.Change(ChangeOperation.Create, Orders, after: Rows.Image("5001", "new", "12.50"));

        var single = Assert.Single(Format(Rows.Complete(created)));

        Assert.Equal("{\"id\":5001}", Text(single.Key));
        Assert.Equal(
            "{\"before\":null,\"after\":{\"id\":5001,\"status\":\"new\",\"total\":\"12.50\"},"
            + "\"source\":{\"version\":\"0.1.0\",\"connector\":\"postgresql\",\"name\":\"shop\",\"ts_ms\":1795383974335,\"snapshot\":\"false\","
            + "\"db\":\"shopdb\",\"sequence\":\"[\\\"27023096\\\",\\\"27030920\\\"]\",\"ts_us\":1795383974335174,\"ts_ns\":1795383974335174000,"
            + "\"schema\":\"public\",\"table\":\"orders\",\"txId\":763,\"lsn\":27030920,\"xmin\":null,\"origin\":null,\"origin_lsn\":null},"
            + "\"transaction\":null,\"op\":\"c\",\"ts_ms\":1795383974544,\"ts_us\":1795383974544952,\"ts_ns\":1795383974544952500}",
            Text(single.Value));
        Assert.Equal("shop.public.orders", single.Topic);
        Assert.Equal("shop:16/B374D848:3", single.Id);
        Assert.Equal(1, single.SchemaVersion);
    }

    [Fact]
    public void First_transaction_has_no_previous_commit_and_an_origin_is_named()
    {
        var created = Rows.Change(ChangeOperation.Create, Orders, after: Rows.Image("1", "a\"b", "1"), previousCommit: 0, origin: "other \"node\"");

        var value = Text(Format(Rows.Complete(created))[0].Value);

        Assert.Contains("\"sequence\":\"[null,\\\"27030920\\\"]\"", value, StringComparison.Ordinal);
        Assert.Contains("\"origin\":\"other \\\"node\\\"\",\"origin_lsn\":null}", value, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SnapshotMark.Row, "true")]
    [InlineData(SnapshotMark.First, "first")]
    [InlineData(SnapshotMark.FirstInTable, "first_in_data_collection")]
    [InlineData(SnapshotMark.LastInTable, "last_in_data_collection")]
    [InlineData(SnapshotMark.Last, "last")]
    [InlineData(SnapshotMark.Incremental, "incremental")]
    public void Read_is_a_snapshot_event(SnapshotMark mark, string expected)
    {
        var read = Rows.Change(ChangeOperation.Read, Orders, after: Rows.Image("1", "a", "1")) with { Snapshot = mark };

        var value = Text(Format(Rows.Complete(read))[0].Value);

        Assert.Contains($"\"snapshot\":\"{expected}\"", value, StringComparison.Ordinal);
        Assert.Contains("\"op\":\"r\"", value, StringComparison.Ordinal);
    }

    [Fact]
    public void Update_has_the_stored_row_before_and_null_without_one()
    {
        var updated = Rows.Change(ChangeOperation.Update, Orders, after: Rows.Image("1", "paid", "2.00"));

        var completed = Text(Format(Rows.Complete(updated, before: Rows.Image("1", "new", "2.00")))[0].Value);
        var uncompleted = Text(Format(Rows.Complete(updated))[0].Value);

        Assert.StartsWith(
            "{\"before\":{\"id\":1,\"status\":\"new\",\"total\":\"2.00\"},\"after\":{\"id\":1,\"status\":\"paid\",\"total\":\"2.00\"},",
            completed, StringComparison.Ordinal);
        Assert.StartsWith("{\"before\":null,\"after\":{\"id\":1,\"status\":\"paid\"", uncompleted, StringComparison.Ordinal);
        Assert.Contains("\"op\":\"u\"", completed, StringComparison.Ordinal);
    }

    [Fact]
    public void Delete_is_followed_by_a_tombstone()
    {
        var deleted = Rows.Change(ChangeOperation.Delete, Orders, before: Rows.Image("1", null, null), keyOnly: true);

        var events = Format(Rows.Complete(deleted, before: Rows.Image("1", "paid", "2.00")));

        Assert.Equal(2, events.Count);
        Assert.StartsWith("{\"before\":{\"id\":1,\"status\":\"paid\",\"total\":\"2.00\"},\"after\":null,", Text(events[0].Value), StringComparison.Ordinal);
        Assert.Contains("\"op\":\"d\"", Text(events[0].Value), StringComparison.Ordinal);
        Assert.Null(events[1].Value);
        Assert.Equal("{\"id\":1}", Text(events[1].Key));
        Assert.Equal(events[0].Id, events[1].Id);
    }

    [Fact]
    public void Key_only_delete_of_the_log_has_zeros_in_columns_that_are_not_null()
    {
        var table = Rows.Table(
            ("id", 23, -1), ("a", 23, -1), ("b", 23, -1), ("s", 25, -1), ("n", 1700, -1), ("d", 1082, -1), ("ts", 1184, -1), ("bo", 16, -1), ("u", 2950, -1));
        foreach (var index in Enumerable.Range(2, 7))
            table.Columns[index] = table.Columns[index] with { Nullable = false };
        var deleted = Rows.Change(ChangeOperation.Delete, table, before: Rows.Image("1", null, null, null, null, null, null, null, null), keyOnly: true);

        var value = Text(Format(Rows.Complete(deleted))[0].Value);

        Assert.StartsWith(
            "{\"before\":{\"id\":1,\"a\":null,\"b\":0,\"s\":\"\",\"n\":\"0\",\"d\":0,\"ts\":\"1970-01-01T00:00:00Z\",\"bo\":false,\"u\":\"\"},\"after\":null",
            value, StringComparison.Ordinal);
    }

    [Fact]
    public void Key_only_images_have_defaults_and_zeros_by_the_options()
    {
        var table = Rows.Table(
            ("id", 23, -1), ("a", 23, -1), ("n", 1700, -1), ("f", 1700, (6 << 16 | 2) + 4), ("m", 790, -1), ("d", 1082, -1), ("i", 1186, -1), ("g", 1700, (6 << 16 | 2) + 4), ("p", 600, -1));
        table.Columns[1] = table.Columns[1] with { Default = "7" };
        foreach (var index in Enumerable.Range(2, 7))
            table.Columns[index] = table.Columns[index] with { Nullable = false };
        table.Columns[7] = table.Columns[7] with { Default = "1.555" };
        var updated = Rows.Change(
            ChangeOperation.Update, table, before: Rows.Image("1", null, null, null, null, null, null, null, null),
            after: Rows.Image("1", "2", "3", "3.00", "$3.00", "2024-02-29", "1 day", "3.00", "(1,2)"), keyOnly: true);
        var point = "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}";

        var value = Text(Format(Rows.Complete(updated) with { Before = default })[0].Value);
        var options = new ValueOptions { Decimals = DecimalForm.Precise, Times = TimeForm.IsoString, Intervals = IntervalForm.Text };
        var other = Text(Format(Rows.Complete(updated) with { Before = default, Values = options })[0].Value);

        Assert.StartsWith(
            $"{{\"before\":{{\"id\":1,\"a\":7,\"n\":\"0\",\"f\":\"0.00\",\"m\":\"0.00\",\"d\":0,\"i\":0,\"g\":\"1.56\",\"p\":{point}}},\"after\":{{",
            value, StringComparison.Ordinal);
        Assert.StartsWith(
            $"{{\"before\":{{\"id\":1,\"a\":7,\"n\":{{\"scale\":0,\"value\":\"AA==\"}},\"f\":\"AA==\",\"m\":\"AA==\",\"d\":\"1970-01-01Z\",\"i\":\"P0Y0M0DT0H0M0S\",\"g\":\"AJw=\",\"p\":{point}}},",
            other, StringComparison.Ordinal);
    }

    [Fact]
    public void Key_follows_the_declared_order_and_the_row_the_tables()
    {
        var table = Rows.Table(1, [2, 0], ("Col A", 23, -1), ("b", 25, -1), ("k2", 25, -1));

        var created = Format(Rows.Complete(Rows.Change(ChangeOperation.Create, table, after: Rows.Image("1", "x", "k"))))[0];

        Assert.Equal("{\"k2\":\"k\",\"Col A\":1}", Text(created.Key));
        Assert.Contains("\"after\":{\"Col A\":1,\"b\":\"x\",\"k2\":\"k\"}", Text(created.Value), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_key_the_key_is_null_and_no_tombstone_follows()
    {
        var table = Rows.Table(1, [], ("a", 23, -1));

        var deleted = Assert.Single(Format(Rows.Complete(Rows.Change(ChangeOperation.Delete, table, before: Rows.Image("1")))));

        Assert.Null(deleted.Key);
        Assert.NotNull(deleted.Value);
    }

    [Fact]
    public void Key_that_the_images_lack_comes_from_the_entity()
    {
        var table = Rows.Table(1, [0, 1], ("a", 25, -1), ("b", 23, -1), ("c", 25, -1));
        var updated = Rows.Change(ChangeOperation.Update, table, after: Rows.Image(Rows.Unchanged, "2", "c"), key: "x\\,y,2");

        Assert.Equal("{\"a\":\"x,y\",\"b\":2}", Text(Format(Rows.Complete(updated))[0].Key));
    }

    [Fact]
    public void Unchanged_value_that_nobody_knows_is_the_placeholder()
    {
        var table = Rows.Table(("id", 23, -1), ("t", 25, -1), ("b", 17, -1), ("n", 1700, -1));
        var updated = Rows.Change(ChangeOperation.Update, table, after: Rows.Image("1", Rows.Unchanged, Rows.Unchanged, Rows.Unchanged));

        var value = Text(Format(Rows.Complete(updated))[0].Value);

        var base64 = Convert.ToBase64String("__debezium_unavailable_value"u8);
        Assert.Contains(
            $"\"after\":{{\"id\":1,\"t\":\"__debezium_unavailable_value\",\"b\":\"{base64}\",\"n\":\"__debezium_unavailable_value\"}}",
            value, StringComparison.Ordinal);
    }

    [Fact]
    public void Before_of_an_older_shape_takes_the_columns_of_the_new_one()
    {
        var old = Rows.Table(1, [1], ("gone", 25, -1), ("id", 23, -1), ("size", 25, -1));
        var now = Rows.Table(2, [0], ("id", 23, -1), ("size", 23, -1), ("added", 25, -1));
        var updated = Rows.Change(ChangeOperation.Update, now, after: Rows.Image("1", "5", "x"));

        var value = Text(Format(Rows.Complete(updated, before: Rows.Image("g", "1", "big"), beforeTable: old))[0].Value);

        Assert.StartsWith(
            "{\"before\":{\"id\":1,\"size\":\"big\",\"added\":null},\"after\":{\"id\":1,\"size\":5,\"added\":\"x\"}", value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_row_of_an_older_shape_is_told_by_the_columns_numbers()
    {
        static TableSchema Numbered(int version, params (string Name, int Number)[] columns)
        {
            var table = Rows.Table(version, [0], [.. columns.Select(c => (c.Name, 25u, -1))]);
            for (var i = 0; i < columns.Length; i++)
                table.Columns[i] = table.Columns[i] with { Number = columns[i].Number };
            return table;
        }

        var old = Numbered(1, ("id", 1), ("a", 2), ("b", 3));
        var now = Numbered(2, ("id", 1), ("b", 2), ("a", 3), ("c", 4));
        var updated = Rows.Change(ChangeOperation.Update, now, after: Rows.Image("1", "was a", "was b", "new"));
        var value = Text(Format(Rows.Complete(updated, before: Rows.Image("1", "was a", "was b"), beforeTable: old))[0].Value);
        Assert.Contains("""
            "before":{"id":"1","b":"was a","a":"was b","c":null},"after":{"id":"1","b":"was a","a":"was b","c":"new"}
            """, value, StringComparison.Ordinal);
    }

    [Fact]
    public void Row_formatter_writes_the_values_of_events() =>
        Assert.Equal("{\"id\":1,\"status\":\"né\\\"w\",\"total\":null}", new JsonRowFormatter().ToJson(Orders, Rows.Image("1", "né\"w", null), ValueOptions.Default));

    [Theory]
    [InlineData("shop", "public", "orders", "shop.public.orders")]
    [InlineData("shop", "Odd Schema", "Order Items", "shop.Odd_Schema.Order_Items")]
    [InlineData("shop", "public", "täble/..\"x", "shop.public.t_ble_.._x")]
    public void Topic_names_are_made_valid(string source, string schema, string table, string topic) =>
        Assert.Equal(topic, TopicName.For(source, schema, table));

    [Fact]
    public void Long_topic_names_are_cut_and_stay_apart()
    {
        var one = TopicName.For("s", new string('a', 200), new string('b', 100) + "1");
        var two = TopicName.For("s", new string('a', 200), new string('b', 100) + "2");

        Assert.Equal(249, one.Length);
        Assert.NotEqual(one, two);
    }

    private List<SinkEvent> Format(CompletedChange change)
    {
        var events = new List<SinkEvent>();
        _format.Format(change, events);
        return events;
    }

    private static string Text(byte[]? bytes) => Encoding.UTF8.GetString(bytes!);
}
