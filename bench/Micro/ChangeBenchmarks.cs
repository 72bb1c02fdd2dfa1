using System.Text;
using BenchmarkDotNet.Attributes;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;

namespace CdcOrleans.Bench.Micro;

/// <summary>What one change costs in single steps: its entity's key, and its event.</summary>
[MemoryDiagnoser]
public class ChangeBenchmarks
{
    private readonly DebeziumFormat _format = new(TimeProvider.System);
    private readonly List<SinkEvent> _events = [];
    private readonly string _key = "4711";
    private CompletedChange _update;

    [GlobalSetup]
    public void Setup()
    {
        var table = new TableSchema
        {
            TableId = 1,
            Version = 1,
            Schema = "public",
            Name = "items",
            Columns =
            [
                Column("id", 20, "bigint"), Column("n", 23, "integer"), Column("name", 25, "text"), Column("note", 25, "text"),
                Column("price", 1700, "numeric(12,2)"), Column("active", 16, "boolean"), Column("changed_at", 1184, "timestamp with time zone"),
                Column("extra", 3802, "jsonb"),
            ],
            Key = [0],
        };
        var row = Row("4711", "42", "twenty characters ..", "a longer text of about thirty-eight ...", "1234.50", "t", "2026-01-02 03:04:05.678901+00", """{"a": 1, "b": "two"}""");
        _update = new CompletedChange
        {
            Change = new RowChange
            {
                Operation = ChangeOperation.Update,
                Table = table,
                Entity = new EntityKey(table.FullName, "4711"),
                Version = new ChangeVersion(new Lsn(0x16B374D848), 1),
                Lsn = new Lsn(0x16B374D800),
                Transaction = new SourceTransaction { CommitLsn = new Lsn(0x16B374D848), Xid = 4711, CommitMicros = 1_767_323_045_678_901 },
                After = row,
            },
            Source = "shop",
            Database = "shop",
            Topic = "shop.public.items",
            Values = ValueOptions.Default,
            Tombstones = true,
            Origin = EventOrigin.Stream,
            Before = row,
            BeforeTable = table,
            After = row,
        };
    }

    [Benchmark]
    public int Debezium_event_of_an_update()
    {
        _events.Clear();
        _format.Format(in _update, _events);
        return _events[0].Size;
    }

    [Benchmark]
    public int Key_and_partition_of_an_entity() => new EntityKey("public.items", _key).Partition(32);

    private static ColumnSchema Column(string name, uint oid, string type) => new() { Name = name, TypeOid = oid, TypeModifier = -1, TypeName = type };

    private static RowImage Row(params string[] values)
    {
        var tuple = new byte[RowImageWriter.EmptySize + values.Sum(v => RowImageWriter.SizeOf(ColumnKind.Text, Encoding.UTF8.GetByteCount(v)))];
        var writer = new RowImageWriter(tuple, values.Length);
        foreach (var value in values)
            writer.Write(ColumnKind.Text, Encoding.UTF8.GetBytes(value));
        return new RowImage(tuple);
    }
}
