using CdcOrleans.Model.Entities;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class EntityTests
{
    // Mostly the characters that mean something in the text, so that collisions would show.
    private static readonly Gen<string?> AnyValue = Gen.OneOf(
        Gen.String[Gen.Char["\\,Na"], 0, 4].Select(s => (string?)s), Gen.String.Select(s => (string?)s), Gen.Const((string?)null));

    private static readonly Gen<string?[]> AnyKey = AnyValue.Array[1, 4];

    private static readonly Gen<string> AnyTable = Gen.OneOf(Gen.String[Gen.Char["%/25Ff.a"], 1, 8], Gen.String.Where(s => s.Length > 0));

    [Theory]
    [InlineData("42", "42")]
    [InlineData("a,b", "a\\,b")]
    [InlineData("a\\b", "a\\\\b")]
    [InlineData("\\N", "\\\\N")]
    [InlineData("", "")]
    [InlineData(null, "\\N")]
    public void A_key_of_one_column_is_its_value_escaped(string? value, string expected) => Assert.Equal(expected, EntityKeyText.Join(value));

    [Fact]
    public void A_key_of_several_columns_is_joined_by_commas()
    {
        Assert.Equal("1,2", EntityKeyText.Join("1", "2"));
        Assert.Equal(",\\N,", EntityKeyText.Join("", null, ""));
        Assert.Equal("a\\,b,c\\\\", EntityKeyText.Join("a,b", "c\\"));
    }

    [Fact]
    public void Keys_are_split_into_what_they_were_joined_from() =>
        AnyKey.Sample(key => Assert.Equal(key, EntityKeyText.Split(EntityKeyText.Join(key))), iter: 5_000);

    [Fact]
    public void No_two_keys_of_as_many_columns_share_a_text() =>
        Gen.Int[1, 3].SelectMany(n => Gen.Select(AnyValue.Array[n], AnyValue.Array[n])).Sample((a, b) =>
            Assert.Equal(a.SequenceEqual(b), EntityKeyText.Join(a) == EntityKeyText.Join(b)), iter: 20_000);

    [Theory]
    [InlineData("\\")]
    [InlineData("a\\")]
    [InlineData("\\x")]
    [InlineData("a\\N")]
    [InlineData("\\Na")]
    [InlineData("\\N\\N")]
    [InlineData("\\N\\,")]
    [InlineData("\\,\\N")]
    public void Texts_that_no_key_has_are_refused(string text) => Assert.Throws<FormatException>(() => EntityKeyText.Split(text));

    [Fact]
    public void What_can_be_split_is_canonical() =>
        Gen.String[Gen.Char["\\,Na"], 0, 7].Sample(text =>
        {
            try
            {
                Assert.Equal(text, EntityKeyText.Join([.. EntityKeyText.Split(text)]));
            }
            catch (FormatException)
            {
                // Refused, which is the other way to be right.
            }
        }, iter: 20_000);

    [Theory]
    [InlineData("shop", "public.orders", "42", "shop/public.orders/42")]
    [InlineData("shop", "public.a/b", "1/2", "shop/public.a%2Fb/1/2")]
    [InlineData("shop", "public.100%", "", "shop/public.100%25/")]
    [InlineData("shop", "public.%2F", "%2F", "shop/public.%252F/%2F")]
    public void Entity_ids_print_and_parse(string source, string table, string key, string text)
    {
        var id = new EntityId(source, new EntityKey(table, key));
        Assert.Equal(text, id.ToString());
        Assert.Equal(id, EntityId.Parse(text));
    }

    [Fact]
    public void Entity_ids_round_trip() =>
        Gen.Select(Gen.String[Gen.Char["aZ09_-"], 1, 5], AnyTable, Gen.OneOf(AnyTable, Gen.String)).Sample((source, table, key) =>
        {
            var id = new EntityId(source, new EntityKey(table, key));
            var read = EntityId.Parse(id.ToString());
            Assert.Equal((source, table, key), (read.Source, read.Key.Table, read.Key.Key));
            Assert.Equal(id, read);
        }, iter: 5_000);

    [Theory]
    [InlineData("")]
    [InlineData("shop")]
    [InlineData("shop/public.orders")]
    [InlineData("/public.orders/1")]
    [InlineData("shop//1")]
    public void Other_texts_are_no_entity_ids(string text) => Assert.Throws<FormatException>(() => EntityId.Parse(text));

    [Fact]
    public void Keys_are_equal_when_table_and_key_are() =>
        Gen.Select(Gen.String[Gen.Char["ab"], 0, 2], Gen.String[Gen.Char["ab"], 0, 2], Gen.String[Gen.Char["ab"], 0, 2], Gen.String[Gen.Char["ab"], 0, 2])
            .Sample((t1, k1, t2, k2) =>
            {
                EntityKey a = new(t1, k1), b = new(t2, k2);
                Assert.Equal(t1 == t2 && k1 == k2, a == b);
                Assert.Equal(a == b, a.Hash == b.Hash);
                Assert.True(a != b || a.GetHashCode() == b.GetHashCode());
            });

    // If these change, a running source's entities move to other partitions: their states would be looked for in the wrong place.
    [Theory]
    [InlineData("public.orders", "1", 11154755036248002843UL)]
    [InlineData("public.orders", "2", 11169306532556663300UL)]
    [InlineData("public.order_lines", "1,2", 16601161065894630775UL)]
    [InlineData("public.customers", "6b1f0c4e-8a55-4f0e-9d0a-0d9c3a5b7e21", 16105211032678039968UL)]
    [InlineData("Größe.表", "ключ,\\N", 11545043895117452897UL)]
    [InlineData("public.no_key", "", 12732086120514156164UL)]
    public void The_hash_of_a_key_never_changes(string table, string key, ulong hash) => Assert.Equal(hash, new EntityKey(table, key).Hash);

    [Theory]
    [InlineData("counting")]
    [InlineData("steps of 32")]
    [InlineData("uuids")]
    public void Entities_spread_evenly_over_partitions(string keys)
    {
        const int Partitions = 32, Entities = 64_000;
        var counts = new int[Partitions];
        for (var i = 0; i < Entities; i++)
        {
            var key = keys switch { "counting" => $"{i}", "steps of 32" => $"{i * 32}", _ => new Guid(i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1).ToString() };
            counts[new EntityKey("public.orders", key).Partition(Partitions)]++;
        }

        // 2000 each; by chance alone a tenth more or less is beyond four standard deviations.
        Assert.All(counts, c => Assert.InRange(c, 1800, 2200));
    }

    [Fact]
    public void Partitions_are_within_their_number() =>
        Gen.Select(Gen.String, Gen.Int[1, 4096]).Sample((key, partitions) =>
        {
            var partition = new EntityKey("public.orders", key).Partition(partitions);
            return partition >= 0 && partition < partitions;
        });
}
