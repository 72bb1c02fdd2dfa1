using CdcOrleans.Configuration;
using CdcOrleans.Configuration.Reading;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Configuration;

public sealed class ReadingTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("0s", 0)]
    [InlineData("200ms", 200)]
    [InlineData("10s", 10_000)]
    [InlineData("5m", 300_000)]
    [InlineData("1h", 3_600_000)]
    [InlineData("7d", 604_800_000)]
    public void Durations_are_read(string text, long milliseconds)
    {
        Assert.True(Units.TryDuration(text, out var duration));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), duration);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("s")]
    [InlineData("-1s")]
    [InlineData("1.5s")]
    [InlineData("1 s")]
    [InlineData("1S")]
    [InlineData("1w")]
    public void Other_texts_are_no_durations(string text) => Assert.False(Units.TryDuration(text, out _));

    [Theory]
    [InlineData("65536", 65536)]
    [InlineData("2KB", 2048)]
    [InlineData("64MB", 64 << 20)]
    [InlineData("3GB", 3L << 30)]
    public void Sizes_are_read(string text, long bytes)
    {
        Assert.True(Units.TrySize(text, out var read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("MB")]
    [InlineData("64mb")]
    [InlineData("64 MB")]
    [InlineData("-1")]
    [InlineData("1TB")]
    public void Other_texts_are_no_sizes(string text) => Assert.False(Units.TrySize(text, out _));

    [Fact]
    public void What_is_shown_reads_back()
    {
        Gen.Long[0, long.MaxValue].Sample(bytes => Units.TrySize(Units.Show(bytes), out var read) && read == bytes);
        Gen.Long[0, 1L << 40].Select(ms => TimeSpan.FromMilliseconds(ms)).Sample(d => Units.TryDuration(Units.Show(d), out var read) && read == d);
    }

    [Theory]
    [InlineData("99999999999999999999s")]
    [InlineData("9223372036854775807h")]
    public void A_duration_too_long_to_hold_is_the_longest(string text)
    {
        Assert.True(Units.TryDuration(text, out var duration));
        Assert.Equal(TimeSpan.MaxValue, duration);
    }

    [Theory]
    [InlineData("slto", "slot")]
    [InlineData("SLOT", "slot")]
    [InlineData("conection", "connection")]
    [InlineData("password", null)]
    [InlineData("x", null)]
    [InlineData("xy", null)]
    [InlineData("iddd", null)]
    [InlineData("i", "id")]
    public void The_nearest_word_is_found(string word, string? expected) =>
        Assert.Equal(expected, Spelling.Nearest(word, ["connection", "slot", "publication", "id", "f"]));

    [Fact]
    public void Distance_is_a_metric_that_counts_edits()
    {
        var word = Gen.String[Gen.Char["abc"], 0, 8];
        Gen.Select(word, word, word).Sample((a, b, c) =>
        {
            Assert.Equal(a == b, Spelling.Distance(a, b) == 0);
            Assert.Equal(Spelling.Distance(a, b), Spelling.Distance(b, a));
            Assert.True(Spelling.Distance(a, c) <= Spelling.Distance(a, b) + Spelling.Distance(b, c));
            Assert.InRange(Spelling.Distance(a, b), Math.Abs(a.Length - b.Length), Math.Max(a.Length, b.Length));
        });
    }

    [Theory]
    [InlineData("Host=db;Port=6432;Database=shop;Username=cdc;Password=secret", "Host=db;Port=6432;Database=shop;Username=cdc")]
    [InlineData("server=db;db=shop;user id=cdc;pwd=secret;Passfile=/x", "Host=db;Database=shop;Username=cdc")]
    [InlineData("Host=db;Password=\"a;b='c\"", "Host=db")]
    [InlineData("Password=secret", "")]
    [InlineData("postgres://cdc:secret@db/shop", "(unreadable connection string)")]
    [InlineData("secret", "(unreadable connection string)")]
    public void Redacted_connections_keep_no_secret(string connection, string expected) =>
        Assert.Equal(expected, ConfigurationFile.Redact(connection));
}
