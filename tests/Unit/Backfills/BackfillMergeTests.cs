using CdcOrleans.Model.Backfills;
using CdcOrleans.Model.Changes;
using CsCheck;
using Xunit;
using Xunit.Sdk;

namespace CdcOrleans.Unit.Backfills;

/// <summary>
/// The merge by visibility against a model of PostgreSQL: writers commit in any order, also with commit records in the log long before they
/// are visible; chunks are read at any moment, merged late, in any order and twice; the stream is read at any pace; the process dies. In the
/// end every entity is the table's row, and no key goes back in time at a sink.
/// </summary>
public sealed class BackfillMergeTests
{
    private const int Keys = 5;

    /// <summary>Interleavings within which a wrong rule must show.</summary>
    private const int MostForWrongRule = 20_000;

    private static readonly Dictionary<string, MergeRules> Wrong = new()
    {
        ["positions instead of visibility, for rows"] = MergeRules.Right with
        {
            OfRow = (e, c, h) => e.Version.CommitLsn < c.Fence ? ChunkDecision.Replace : ChunkDecision.Keep,
        },
        ["positions instead of visibility, for changes"] = MergeRules.Right with
        {
            OfChange = (e, v, x) => v <= e.Version ? ChangeDecision.Duplicate
                : e.Included is { } i && v.CommitLsn < i.Fence ? ChangeDecision.Included : ChangeDecision.Apply,
        },
        ["rows always replace"] = MergeRules.Right with { OfRow = (_, _, _) => ChunkDecision.Replace },
        ["the snapshot is forgotten with the next change"] = MergeRules.Right with { Read = (e, _) => e with { Included = null } },
        ["the fence is one transaction too early"] = MergeRules.Right with { Read = (e, p) => e.Read(new Lsn(p.Value + 10)) },
        ["chunks in any order replace each other"] = MergeRules.Right with { OfRow = (e, c, h) => BackfillMerge.OfRow(e with { Included = null }, c, h) },
        ["what is skipped is not recorded"] = MergeRules.Right with { Skipped = (e, _, _) => e },
        ["the horizon is not awaited"] = MergeRules.Right with
        {
            AwaitsHorizon = false,
            OfRow = (e, c, h) => BackfillMerge.OfRow(e, c, h with { Xid = 0 }),
            OfAbsence = (e, c, h) => BackfillMerge.OfAbsence(e, c, h with { Xid = 0 }),
        },
        ["a truncation is forgotten"] = MergeRules.Right with { RemembersTruncations = false },
        ["the former key is not asked"] = MergeRules.Right with { AsksFormerKey = false },
        ["nothing is read again"] = MergeRules.Right with { ReadsAgain = false },
        ["ids are not widened"] = MergeRules.Right with { Widen = (xid, _) => xid },
    };

    public static TheoryData<string> WrongRules => [.. Wrong.Keys];

    [Fact]
    public void Entities_become_the_tables_rows_and_no_key_goes_back() => Gen.Int.Sample(seed => Run(seed, MergeRules.Right), iter: 30_000);

    [Theory]
    [MemberData(nameof(WrongRules))]
    public void A_wrong_rule_shows(string wrong)
    {
        for (var seed = 0; seed < MostForWrongRule; seed++)
        {
            try
            {
                Run(seed, Wrong[wrong]);
            }
            catch (Exception exception) when (exception is XunitException or NullReferenceException)
            {
                TestContext.Current.TestOutputHelper?.WriteLine($"{wrong}: interleaving {seed}: {exception.Message}");
                return;
            }
        }

        Assert.Fail($"{MostForWrongRule} interleavings passed although {wrong}.");
    }

    private static void Run(int seed, MergeRules rules)
    {
        var dice = new Random(seed);

        // Ids of the log wrap around in the middle of it.
        ulong first = dice.Next(3) switch { 0 => 3, 1 => (1UL << 32) - 12, _ => (7UL << 32) - 5 };
        var database = new ModelDatabase(first, Keys);
        database.IsPublished = dice.Next(2) == 0;
        var pipeline = new ModelPipeline(database, Keys, rules, forgetsAtOnce: dice.Next(2) == 0);
        var steps = dice.Next(10, 150);
        var start = dice.Next(0, 30);
        var pace = dice.Next(1, 8);
        var truncates = dice.Next(3) == 0;
        for (var step = 0; step < steps; step++)
        {
            if (step == start)
                pipeline.Start();
            else if (step < start || dice.Next(2) == 0)
                Write(database, dice, truncates);
            else
                Read(database, pipeline, dice, truncates, pace);
        }

        if (steps <= start)
            pipeline.Start();
        foreach (var open in database.Open.ToList())
        {
            database.Commit(open);
            database.EndOf(open);
        }

        pipeline.Finish(dice);
    }

    private static void Write(ModelDatabase database, Random dice, bool truncates)
    {
        if (database.Open.Count == 0 || (database.Open.Count < 4 && dice.Next(4) == 0))
            database.Begin();
        var transaction = database.Open[dice.Next(database.Open.Count)];
        var key = dice.Next(Keys);
        switch (dice.Next(15))
        {
            case < 3:
                database.Insert(transaction, key);
                break;
            case < 6:
                database.Update(transaction, key, large: dice.Next(3) == 0);
                break;
            case 6:
                database.Delete(transaction, key);
                break;
            case < 9:
                database.Move(transaction, key, dice.Next(Keys), large: dice.Next(3) == 0);
                break;
            case < 12:
                database.Commit(transaction);
                break;
            case < 14:
                database.EndOf(transaction);
                break;
            case 14 when truncates && dice.Next(2) == 0:
                database.Truncate(transaction);
                break;
            default:
                if (dice.Next(3) == 0)
                    database.Abort(transaction);
                break;
        }
    }

    private static void Read(ModelDatabase database, ModelPipeline pipeline, Random dice, bool truncates, int pace)
    {
        void Meanwhile() => Write(database, dice, truncates);
        if (dice.Next(10) < pace)
        {
            pipeline.Stream();
            return;
        }

        switch (dice.Next(11))
        {
            case < 2:
                pipeline.ReadNext(dice, Meanwhile);
                break;
            case < 4:
                // A chunk that was read before, or that overlaps.
                pipeline.Read(dice, Meanwhile, [.. Enumerable.Range(dice.Next(Keys), Keys).Take(1 + dice.Next(3)).Select(k => k % Keys)]);
                break;
            case < 9:
                pipeline.MergeNext(dice);
                break;
            case 9:
                pipeline.Checkpoint();
                break;
            default:
                if (dice.Next(3) == 0)
                    pipeline.Crash();
                break;
        }
    }
}
