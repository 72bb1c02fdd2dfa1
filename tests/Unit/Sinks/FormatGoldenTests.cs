using System.Text;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace CdcOrleans.Unit.Sinks;

/// <summary>
/// Every format writes the same changes; the result must be what its golden file holds, byte for byte. With CDC_GOLDEN set to
/// the folder Golden of the sources, the files are written instead.
/// </summary>
public sealed class FormatGoldenTests
{
    private static readonly TableSchema Orders = Rows.Table(("id", 23, -1), ("status", 25, -1), ("total", 1700, -1), ("tags", 1009, -1));

    static FormatGoldenTests() => Orders.Columns[3] = Orders.Columns[3] with { Element = new ElementSchema(25, -1, "text", ',') };

    [Theory]
    [InlineData("debezium")]
    [InlineData("flat")]
    [InlineData("cloudevents")]
    public void Events_are_those_of_the_golden_file(string name)
    {
        IEventFormat format = name switch
        {
            "debezium" => new DebeziumFormat(new FakeTimeProvider(new DateTimeOffset(2026, 11, 22, 8, 6, 15, TimeSpan.Zero))),
            "flat" => new FlatFormat(),
            _ => new CloudEventsFormat(),
        };
        Assert.Equal(name, format.Name);
        RowImage first = Rows.Image("1", "né\"w", "1.10", "{a,NULL}"), second = Rows.Image("1", "paid", "2.00", "{}"), moved = Rows.Image("2", "paid", "2.00", "{}");
        var keyOnly = Rows.Image("1", null, null, null);
        var events = new List<SinkEvent>();
        format.Format(Rows.Complete(Rows.Change(ChangeOperation.Create, Orders, after: first)), events);
        format.Format(Rows.Complete(Rows.Change(ChangeOperation.Update, Orders, after: second), before: first), events);
        format.Format(Rows.Complete(Moved(ChangeOperation.Delete, keyOnly, moved), before: second), events);
        format.Format(Rows.Complete(Moved(ChangeOperation.Create, moved, keyOnly)), events);
        format.Format(Rows.Complete(Rows.Change(ChangeOperation.Delete, Orders, before: Rows.Image("2", null, null, null), keyOnly: true, key: "2"), before: moved), events);
        foreach (var change in NotRows())
            format.Format(Rows.Complete(change) with { Tombstones = false }, events);

        var text = string.Concat(events.Select(Line));
        var file = $"{name}.txt";
        if (Environment.GetEnvironmentVariable("CDC_GOLDEN") is { Length: > 0 } folder)
            File.WriteAllText(Path.Combine(folder, file), text);
        else
            Assert.Equal(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Sinks", "Golden", file)), text);
    }

    // A delete without a tombstone, a truncation, a message, a transaction's begin and end with one event between them, a heartbeat.
    private static IEnumerable<RowChange> NotRows()
    {
        yield return Rows.Change(ChangeOperation.Delete, Orders, before: Rows.Image("3", "x", "0", "{}"), key: "3");
        yield return Rows.Change(ChangeOperation.Truncate, Orders, key: "");
        yield return Rows.Change(ChangeOperation.Message, SourceStreams.Messages, after: Rows.Image("no\"te", @"\x68c3a9"), key: "no\"te");
        yield return Rows.Change(ChangeOperation.Transaction, SourceStreams.Transactions, after: Rows.Image("BEGIN", "763:27030920", null, null, "1795383974335"));
        var counted = Rows.Change(ChangeOperation.Create, Orders, after: Rows.Image("4", null, null, null), origin: "elsewhere");
        yield return new RowChange
        {
            Operation = counted.Operation, Table = Orders, Entity = counted.Entity, Version = counted.Version, Lsn = counted.Lsn,
            Transaction = counted.Transaction, After = counted.After, TotalOrder = 1, TableOrder = 1,
        };
        yield return Rows.Change(
            ChangeOperation.Transaction, SourceStreams.Transactions,
            after: Rows.Image("END", "763:27030999", "1", """[{"data_collection":"public.orders","event_count":1}]""", "1795383974335"));
        yield return Rows.Change(ChangeOperation.Heartbeat, SourceStreams.Heartbeats, after: Rows.Image("shop", "1795383974335"));
    }

    private static RowChange Moved(ChangeOperation operation, RowImage own, RowImage other)
    {
        var change = Rows.Change(operation, Orders);
        return new RowChange
        {
            Operation = operation, Table = Orders, Entity = change.Entity, Version = change.Version, Lsn = change.Lsn, Transaction = change.Transaction,
            Before = operation == ChangeOperation.Delete ? own : default, BeforeIsKeyOnly = operation == ChangeOperation.Delete,
            After = operation == ChangeOperation.Create ? own : default, OtherRow = other,
        };
    }

    private static string Line(SinkEvent made)
    {
        var headers = string.Concat((made.Headers ?? []).Select(h => $"  {h.Key}: {Encoding.UTF8.GetString(h.Value)}\n"));
        return $"{Text(made.Key)}\n{Text(made.Value)}\n{headers}\n";
    }

    private static string Text(byte[]? bytes) => bytes is null ? "null" : Encoding.UTF8.GetString(bytes);
}
