using CdcOrleans.Configuration.Reading;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

public sealed class ReferencesTests
{
    private static readonly Dictionary<string, string> Environment = new() { ["A"] = "1", ["EMPTY"] = "", ["DOLLAR"] = "${A}$$" };

    [Theory]
    [InlineData("", "")]
    [InlineData("plain } { text", "plain } { text")]
    [InlineData("${A}", "1")]
    [InlineData("x${A}y${A}z", "x1y1z")]
    [InlineData("$$", "$")]
    [InlineData("$${A}", "${A}")]
    [InlineData("$$${A}", "$1")]
    [InlineData("${EMPTY}", "")]
    [InlineData("${EMPTY:-d}", "d")]
    [InlineData("${NONE:-d}", "d")]
    [InlineData("${NONE:-}", "")]
    [InlineData("${NONE:-a:-b}", "a:-b")]
    [InlineData("${NONE:-$$}", "$")]
    [InlineData("${A:-d}", "1")]
    [InlineData("${DOLLAR}", "${A}$$")] // The value of a variable is not changed.
    public void References_are_replaced(string text, string expected)
    {
        var problems = new List<string>();
        Assert.Equal(expected, References.Replace(text, Environment, problems));
        Assert.Empty(problems);
    }

    [Theory]
    [InlineData("${NONE}", "missing secret or setting: the environment variable NONE is not set; set it, or give a default as ${NONE:-default}")]
    [InlineData("a$b", "a single '$' has no meaning; write $$ for a literal $, or ${NAME} for an environment variable")]
    [InlineData("$", "a single '$' has no meaning; write $$ for a literal $, or ${NAME} for an environment variable")]
    [InlineData("${A", "'${' without a closing '}'; write ${NAME} or ${NAME:-default}, or $$ for a literal $")]
    [InlineData("${1A}", "'${…}' must contain the name of an environment variable (letters, digits and '_', not starting with a digit), optionally followed by ':-' and a default")]
    [InlineData("${}", "'${…}' must contain the name of an environment variable (letters, digits and '_', not starting with a digit), optionally followed by ':-' and a default")]
    [InlineData("${A-b}", "'${…}' must contain the name of an environment variable (letters, digits and '_', not starting with a digit), optionally followed by ':-' and a default")]
    [InlineData("${A:-${B}}", "the default of ${A} contains a '$'; a default is plain text, with $$ for a literal $")]
    public void What_is_wrong_is_named(string text, string problem)
    {
        var problems = new List<string>();
        Assert.Null(References.Replace(text, Environment, problems));
        Assert.Equal([problem], problems);
    }

    [Fact]
    public void All_missing_variables_are_reported()
    {
        var problems = new List<string>();
        Assert.Null(References.Replace("${X1}${X2}", Environment, problems));
        Assert.Equal(2, problems.Count);
    }

    [Fact]
    public void Any_text_can_be_written() =>
        Gen.String.Sample(text => References.Replace(text.Replace("$", "$$", StringComparison.Ordinal), Environment, []) == text);

    [Fact]
    public void Texts_with_references_are_the_concatenation_of_their_parts()
    {
        // A part of the text, and what it must become.
        var literal = Gen.String[Gen.Char["ab:-{}$ "], 0, 5].Select(t => (Written: t.Replace("$", "$$", StringComparison.Ordinal), Means: t));
        var reference = Gen.Select(Gen.Int[0, 2].Select(i => new[] { "V1", "V2", "_v" }[i]), Gen.String[Gen.Char["xy$}"], 0, 4])
            .Select((name, value) => (Name: name, Value: value));
        var fallback = Gen.String[Gen.Char["de:-{$"], 0, 4].Select(t => (Written: $"${{UNSET:-{t.Replace("$", "$$", StringComparison.Ordinal)}}}", Means: t));
        Gen.Select(literal, reference, fallback, literal, reference).Sample((first, v1, second, third, v2) =>
        {
            var environment = new Dictionary<string, string> { [v1.Name] = v1.Value };
            environment.TryAdd(v2.Name, v2.Value);
            var text = $"{first.Written}${{{v1.Name}}}{second.Written}{third.Written}${{{v2.Name}}}";
            var expected = $"{first.Means}{v1.Value}{second.Means}{third.Means}{environment[v2.Name]}";
            Assert.Equal(expected, References.Replace(text, environment, []));
        });
    }
}
