using System.Globalization;
using System.Text;
using CdcOrleans.Testing;
using Xunit;

namespace CdcOrleans.Cluster;

/// <summary>
/// Rows that together are many times larger than the memory of the process, changed so that each event must be completed with a large value
/// of the stored row. <c>CDC_TEST_LARGE_ROWS=3000</c> runs it with 3,000 rows and 1 GB. That takes long, and about 60 GB of disk.
/// </summary>
public sealed class LargeRowsTests(PostgresFixture postgres)
{
    private const int Note = 5_000_000;

    private static readonly int Rows = int.Parse(Environment.GetEnvironmentVariable("CDC_TEST_LARGE_ROWS") ?? "120", CultureInfo.InvariantCulture);

    private static readonly long Heap = Rows > 1000 ? 1L << 30 : 350L << 20;

    // Not compressible, and different in every row.
    private const string Schema = """
        CREATE TABLE docs (id int PRIMARY KEY, n int NOT NULL, note text NOT NULL);
        ALTER TABLE docs ALTER note SET STORAGE EXTERNAL;
        CREATE TABLE seed (text text);
        CREATE TABLE others (id int PRIMARY KEY, n int NOT NULL);
        """;

    [Fact]
    public async Task Rows_of_five_megabytes_pass_through_a_small_process()
    {
        // The log of the source is kept until its changes are delivered. It must not contain what the control database writes meanwhile.
        await using var control = await PostgresServer.Start();
        await using var pipeline = await Pipeline.Create(postgres.Server, Schema, control: control);
        await PostgresServer.Execute(
            pipeline.Database, $"INSERT INTO seed SELECT string_agg(md5(random()::text), '') FROM generate_series(1, {Note / 32})");
        var collected = new Collected(pipeline.Out);
        var limit = KeyValuePair.Create("DOTNET_GCHeapHardLimit", $"0x{Heap:X}");
        await using (var first = await pipeline.Run(limit))
        {
            for (var id = 1; id <= Rows; id += 20)
            {
                await PostgresServer.Execute(pipeline.Database, $"""
                    INSERT INTO docs SELECT id, 0, substr(text, id) || substr(text, 1, id - 1) FROM seed, generate_series({id}, {Math.Min(Rows, id + 19)}) AS id
                    """);
                collected.Take();
            }

            await Drained(pipeline, first, collected);
            await first.Stop();
        }

        // All entities are asleep, and nothing of them is in memory.
        await using var silo = await pipeline.Run(limit);
        await PostgresServer.Execute(pipeline.Database, "UPDATE docs SET n = n + 1");
        await Drained(pipeline, silo, collected);
        var some = Math.Clamp(Rows / 4, 20, 200);
        for (var id = 1; id <= some; id++)
            await PostgresServer.Execute(pipeline.Database, $"UPDATE docs SET n = n + 1 WHERE id = {id}");
        await Drained(pipeline, silo, collected);

        // Several changes of each in one transaction wake the entities.
        await PostgresServer.Execute(
            pipeline.Database, $"UPDATE docs SET n = n + 1 WHERE id <= {some}; UPDATE docs SET n = n + 1 WHERE id <= {some}; INSERT INTO others VALUES (1, 1)");
        await Drained(pipeline, silo, collected);

        for (var id = 1; id <= Rows; id++)
            Assert.Equal(id <= some ? [0, 1, 2, 3, 4] : [0, 1], collected.Versions[id]);
        Assert.Equal("0", await PostgresServer.Scalar(pipeline.Control, "SELECT count(*) FROM cdc.dead_letters"));
        var memory = (await silo.Source("shop")).GetProperty("silos")[0].GetProperty("memory");
        Assert.Equal((0, 0), (memory.GetProperty("applies").GetInt64(), memory.GetProperty("waiting").GetInt32()));
        TestContext.Current.SendDiagnosticMessage($"{Rows} rows: the working set was {silo.PeakWorkingSet >> 20} MiB at most.");
        Assert.InRange(silo.PeakWorkingSet, 0, Heap + (200L << 20));
    }

    private static async Task Drained(Pipeline pipeline, SiloProcess silo, Collected collected)
    {
        var drained = pipeline.Drained(silo, Rows > 1000 ? TimeSpan.FromHours(1) : TimeSpan.FromMinutes(4));
        while (!drained.IsCompleted)
        {
            await Task.WhenAny(drained, Task.Delay(200));
            collected.Take();
        }

        await drained;
        collected.Take();
    }

    /// <summary>Reads what the file sink wrote, and deletes it: it does not fit on the disk.</summary>
    private sealed class Collected(string folder)
    {
        private readonly byte[] _block = new byte[1 << 20];
        private readonly List<byte> _start = [];
        private long _length;

        /// <summary>The values of <c>n</c> that arrived, by id.</summary>
        public Dictionary<int, List<int>> Versions { get; } = [];

        public void Take()
        {
            var (path, taken) = (Path.Combine(folder, "shop.public.docs.ndjson"), Path.Combine(folder, "taken"));
            if (!File.Exists(path) || !TryMove(path, taken))
                return;
            using (var stream = File.OpenRead(taken))
            {
                for (int read; (read = stream.Read(_block)) > 0;)
                {
                    for (var rest = _block.AsSpan(0, read); !rest.IsEmpty;)
                    {
                        var end = rest.IndexOf((byte)'\n');
                        var part = end < 0 ? rest : rest[..end];
                        if (_start.Count < 200)
                            _start.AddRange(part[..Math.Min(part.Length, 200)]);
                        _length += part.Length;
                        if (end < 0)
                            break;
                        Line();
                        rest = rest[(end + 1)..];
                    }
                }
            }

            Assert.Equal(0, _length);
            File.Delete(taken);
        }

        // A line begins with the key and with the columns before the note, and its length shows whether the notes are there.
        private void Line()
        {
            var text = Encoding.UTF8.GetString([.. _start]);
            var id = Number(text, "\"id\":");
            var n = Number(text, "\"n\":");
            var isUpdate = !text.Contains("\"before\":null", StringComparison.Ordinal);
            Assert.True(_length > (isUpdate ? 2L : 1L) * Note, $"The event of {id} has only {_length} bytes: {text}");
            if (!Versions.TryGetValue(id, out var versions))
                Versions.Add(id, versions = []);
            versions.Add(isUpdate ? n + 1 : n);
            _start.Clear();
            _length = 0;
        }

        private static int Number(string text, string name)
        {
            var from = text.IndexOf(name, StringComparison.Ordinal) + name.Length;
            var length = text.AsSpan(from).IndexOfAnyExceptInRange('0', '9');
            return int.Parse(text.AsSpan(from, length), CultureInfo.InvariantCulture);
        }

        // Under the lock of the sink, which so writes no part of a line into the moved file.
        private bool TryMove(string path, string taken)
        {
            try
            {
                using var folderLock = File.OpenHandle(Path.Combine(folder, ".cdc-lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                File.Move(path, taken);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }
    }
}
