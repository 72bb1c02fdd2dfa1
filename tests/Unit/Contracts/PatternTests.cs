using System.Text.RegularExpressions;
using CdcOrleans.Model.Configuration;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class PatternTests
{
    [Theory]
    [InlineData("public.orders", "public.orders", true)]
    [InlineData("public.orders", "public.Orders", false)]
    [InlineData("public.*", "public.orders", true)]
    [InlineData("public.*", "public.", true)]
    [InlineData("public.*", "other.orders", false)]
    [InlineData("*.orders", "a.b.orders", true)]
    [InlineData("*", "", true)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("a*a", "a", false)]
    [InlineData("p?blic.[a-z]", "public.x", false)]
    public void Examples(string pattern, string name, bool expected) => Assert.Equal(expected, NamePattern.Matches(pattern, name));

    [Fact]
    public void It_is_a_regular_expression_with_any_text_for_the_star()
    {
        var name = Gen.String[Gen.Char["ab.\n"], 0, 10];
        Gen.Select(Gen.String[Gen.Char["ab.*"], 0, 6], name).Sample((pattern, text) =>
        {
            var expression = $"\\A{Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal)}\\z";
            Assert.Equal(Regex.IsMatch(text, expression, RegexOptions.Singleline | RegexOptions.CultureInvariant), NamePattern.Matches(pattern, text));
        }, iter: 20_000);
    }

    [Fact]
    public void Many_stars_are_no_trouble() =>
        Assert.False(NamePattern.Matches(string.Concat(Enumerable.Repeat("a*", 500)) + "b", new string('a', 5_000)));

    [Fact]
    public void The_exact_table_wins_and_then_the_first_pattern()
    {
        var source = new SourceConfiguration
        {
            Name = "s",
            Connection = "",
            Slot = "",
            Publication = "",
            Tables =
            [
                new TableSelection { Pattern = "public.a*" },
                new TableSelection { Pattern = "public.*", Entities = EntityMode.Version },
                new TableSelection { Pattern = "public.audit", Entities = EntityMode.Off },
            ],
        };
        Assert.Equal(EntityMode.Off, source.Select("public", "audit")?.Entities);
        Assert.Equal(EntityMode.Row, source.Select("public", "accounts")?.Entities);
        Assert.Equal(EntityMode.Version, source.Select("public", "orders")?.Entities);
        Assert.Null(source.Select("other", "audit"));
    }
}
