using CdcOrleans.Configuration.Pipeline;
using CdcOrleans.Model.Configuration;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

public sealed class PatternOverlapTests
{
    [Theory]
    [InlineData("a.b.c", "a.b.c", true)]
    [InlineData("a.b.c", "a.b.d", false)]
    [InlineData("a.*", "*.c", true)]
    [InlineData("a.*", "b.*", false)]
    [InlineData("shop.public.*", "shop.*.orders", true)]
    [InlineData("shop.public.a*", "shop.public.b*", false)]
    [InlineData("shop.public.a*x", "shop.public.ab*y", false)]
    [InlineData("*", "", true)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("*a", "*b", false)]
    [InlineData("*a*", "*b*", true)]
    [InlineData("a*a", "a", false)]
    public void Examples(string left, string right, bool expected)
    {
        Assert.Equal(expected, PatternOverlap.Exists(left, right));
        Assert.Equal(expected, PatternOverlap.Exists(right, left));
    }

    [Fact]
    public void It_is_what_trying_all_names_says()
    {
        // If two patterns overlap, some name no longer than both together fits both: up to 6 characters cover all cases.
        string[] names = [.. Enumerable.Range(0, 7).SelectMany(NamesOf)];
        var pattern = Gen.String[Gen.Char["aab*"], 0, 3];
        Gen.Select(pattern, pattern).Sample((left, right) =>
            Assert.Equal(names.Any(n => NamePattern.Matches(left, n) && NamePattern.Matches(right, n)), PatternOverlap.Exists(left, right)), iter: 2_000);
    }

    [Fact]
    public void Every_name_is_found_by_patterns_made_from_it()
    {
        var name = Gen.String[Gen.Char["ab."], 1, 30];
        Gen.Select(name, Gen.Int[0, 30], Gen.Int[0, 30], Gen.Int[0, 30], Gen.Int[0, 30]).Sample((text, a, b, c, d) =>
            PatternOverlap.Exists(WithStar(text, a, b), WithStar(text, c, d)));
    }

    private static string WithStar(string name, int from, int to)
    {
        var start = Math.Min(Math.Min(from, to), name.Length);
        var end = Math.Min(Math.Max(from, to), name.Length);
        return $"{name[..start]}*{name[end..]}";
    }

    private static IEnumerable<string> NamesOf(int length) =>
        Enumerable.Range(0, 1 << length).Select(bits => string.Concat(Enumerable.Range(0, length).Select(i => (bits >> i & 1) == 0 ? 'a' : 'b')));
}
