using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using Xunit;

namespace CdcOrleans.Integration.Capture;

/// <summary>What a relation stands for changes at one place of the log, and at the same place whenever that is read.</summary>
public sealed class RelationHistoryTests(CaptureServer server) : IClassFixture<CaptureServer>
{
    [Fact]
    public async Task A_key_that_the_log_does_not_tell_begins_where_it_began_whenever_that_is_read()
    {
        await using var capture = await server.Capture("CREATE TABLE item (id int NOT NULL, code text NOT NULL, n int); ALTER TABLE item REPLICA IDENTITY FULL");
        await capture.Start();
        await capture.Execute("INSERT INTO item VALUES (1, 'a', 0)");
        await capture.Execute("UPDATE item SET n = 1");
        await Taken(capture, 2);
        await capture.Execute("ALTER TABLE item ADD PRIMARY KEY (id)");
        await capture.Execute("UPDATE item SET n = 2");
        await Taken(capture, 1);
        await capture.Execute("ALTER TABLE item DROP CONSTRAINT item_pkey, ADD PRIMARY KEY (code)");
        await capture.Execute("UPDATE item SET id = 2; DELETE FROM item");
        await capture.Restart();

        // The catalog has only the last key. Changes that were read under another key have that key again.
        var first = await Taken(capture, 5);
        Assert.Equal(["public.item/", "public.item/", "public.item/1", "public.item/a", "public.item/a"], Entities(first));
        Assert.Equal([2, 3], Forgotten(first));
        await capture.Restart();
        var again = await Taken(capture, 5);
        Assert.Equal(Entities(first), Entities(again));
        Assert.Equal(Versions(first), Versions(again));
        Assert.Equal(first.Where(i => i.Forgotten is not null).Select(i => i.Forgotten!.Version), again.Where(i => i.Forgotten is not null).Select(i => i.Forgotten!.Version));
        Assert.Equal(Forgotten(first), Forgotten(again));
    }

    [Fact]
    public async Task A_table_with_another_name_is_forgotten_under_both_and_so_it_is_when_it_has_its_own_again()
    {
        await using var capture = await server.Capture("CREATE TABLE item (id int PRIMARY KEY, n int)");
        await capture.Start();
        await capture.Execute("INSERT INTO item VALUES (1, 1)");
        await capture.Execute("ALTER TABLE item RENAME TO other");
        await capture.Execute("UPDATE other SET n = 2");
        await capture.Execute("ALTER TABLE other RENAME TO item");
        await capture.Execute("UPDATE item SET n = 3; UPDATE item SET n = 4");
        var items = await Taken(capture, 4);
        Assert.Equal(["public.item/1", "public.other/1", "public.item/1", "public.item/1"], Entities(items));
        Assert.Equal([1, 2], Forgotten(items));
        var (item, other) = (items[0].Change!.Table.TableId, items.First(i => i.Change?.Table.Name == "other").Change!.Table.TableId);
        Assert.All(items.Where(i => i.Forgotten is not null), i => Assert.Equal([item, other], i.Forgotten!.Tables.Order()));
    }

    [Fact]
    public async Task A_table_made_anew_under_a_name_forgets_what_was_held_under_it()
    {
        await using var capture = await server.Capture("CREATE TABLE item (id int PRIMARY KEY, n int)", p => p with { Tables = [new TableSelection { Pattern = "public.*" }] });
        await capture.Start();
        await capture.Execute("INSERT INTO item VALUES (1, 1)");
        await Taken(capture, 1);
        await capture.Execute("DROP TABLE item; CREATE TABLE item (id int PRIMARY KEY, n int)");
        await capture.Capture.Watch(CancellationToken.None);
        await capture.Execute("INSERT INTO item VALUES (2, 2)");
        var items = await Taken(capture, 1);

        // Once because it joined the publication, once because it is another relation.
        Assert.Equal(2, items.Count(i => i.Kind == WalItemKind.Forget));
        Assert.Equal(WalItemKind.Change, items[^1].Kind);
    }

    [Fact]
    public async Task A_table_that_joins_again_was_not_followed_meanwhile()
    {
        await using var capture = await server.Capture("CREATE TABLE item (id int PRIMARY KEY, n int)");
        await capture.Start();
        await capture.Execute("INSERT INTO item VALUES (1, 1)");
        await Taken(capture, 1);
        await capture.Execute($"ALTER PUBLICATION \"{capture.Source.Publication.Replace("\"", "\"\"", StringComparison.Ordinal)}\" DROP TABLE item");
        await capture.Execute("UPDATE item SET n = 2");
        Assert.Equal(["public.item"], await capture.Capture.Watch(CancellationToken.None));
        await capture.Execute("UPDATE item SET n = 3");
        var items = await Taken(capture, 1);

        // Once because the log says that it joined, once because the publication is seen to have been altered.
        var forgotten = items.Where(i => i.Kind == WalItemKind.Forget).Select(i => i.Forgotten!).ToList();
        Assert.Equal(2, forgotten.Count);
        Assert.All(forgotten, f => Assert.Equal(items[^1].Change!.Table.TableId, Assert.Single(f.Tables)));
        Assert.All(forgotten, f => Assert.True(f.Version < items[^1].Change!.Version));
    }

    [Fact]
    public async Task A_table_whose_entities_hold_something_else_than_before_is_forgotten()
    {
        await using var first = await server.Capture("CREATE TABLE item (id int PRIMARY KEY, n int)");
        await first.Start();
        await first.Execute("INSERT INTO item VALUES (1, 1)");
        var before = await Taken(first, 1);
        Assert.DoesNotContain(before, i => i.Kind == WalItemKind.Forget);
        await first.Stream.DisposeAsync();

        await using var second = first.Again(s => s with { Tables = [.. s.Tables.Select(t => t with { Entities = EntityMode.Off })] });
        await second.Start();
        await second.Execute("UPDATE item SET n = 2");
        Assert.Equal(1, (await Taken(second, 2)).Count(i => i.Kind == WalItemKind.Forget));
    }

    // Items until so many changes of rows were among them.
    private static async Task<List<WalItem>> Taken(CaptureUnderTest capture, int changes)
    {
        var items = new List<WalItem>();
        for (var taken = 0; taken < changes;)
        {
            var item = await capture.Next();
            if (item.Kind is WalItemKind.Change or WalItemKind.Forget)
                items.Add(item);
            if (item.Kind == WalItemKind.Change)
                taken++;
        }

        return items;
    }

    private static string[] Entities(List<WalItem> items) => [.. Changes(items).Select(c => c.Entity.ToString())];

    private static ChangeVersion[] Versions(List<WalItem> items) => [.. Changes(items).Select(c => c.Version)];

    private static IEnumerable<RowChange> Changes(List<WalItem> items) => items.Where(i => i.Kind == WalItemKind.Change).Select(i => i.Change!);

    // How many changes stand before each place at which something is forgotten.
    private static int[] Forgotten(List<WalItem> items) =>
        [.. items.Index().Where(i => i.Item.Kind == WalItemKind.Forget).Select(i => items.Take(i.Index).Count(b => b.Kind == WalItemKind.Change))];
}
