using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Sinks;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class VersionTests
{
    private static readonly Gen<Lsn> AnyLsn = Gen.ULong.Select(v => new Lsn(v));
    private static readonly Gen<ChangeVersion> AnyVersion =
        Gen.Select(Gen.OneOf(AnyLsn, Gen.ULong[0, 3].Select(v => new Lsn(v))), Gen.Long[0, long.MaxValue]).Select((l, o) => new ChangeVersion(l, o));

    [Theory]
    [InlineData("0/0", 0UL)]
    [InlineData("0/1", 1UL)]
    [InlineData("16/B374D848", 0x16_B374D848UL)]
    [InlineData("1/0", 1UL << 32)]
    [InlineData("FFFFFFFF/FFFFFFFF", ulong.MaxValue)]
    public void Positions_print_as_PostgreSQL_prints_them(string text, ulong value)
    {
        Assert.Equal(text, new Lsn(value).ToString());
        Assert.Equal(value, Lsn.Parse(text).Value);
    }

    [Fact]
    public void Small_letters_and_leading_zeros_are_read() => Assert.Equal(new Lsn(0x16_B374D848), Lsn.Parse("0016/b374d848"));

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("16")]
    [InlineData("16/")]
    [InlineData("/16")]
    [InlineData("1/2/3")]
    [InlineData("100000000/0")]
    [InlineData("0/100000000")]
    [InlineData("g/0")]
    [InlineData("-1/0")]
    [InlineData(" 1/0")]
    [InlineData("0x1/0")]
    public void Other_texts_are_no_positions(string text) =>
        Assert.Equal($"'{text}' is not a log sequence number; expected two hexadecimal halves such as 16/B374D848.", Assert.Throws<FormatException>(() => Lsn.Parse(text)).Message);

    [Fact]
    public void Positions_round_trip_and_are_ordered()
    {
        AnyLsn.Sample(l => Lsn.Parse(l.ToString()) == l);
        Gen.Select(AnyLsn, AnyLsn).Sample((a, b) =>
        {
            Assert.Equal(a.Value.CompareTo(b.Value), a.CompareTo(b));
            Assert.Equal((bool[])[(a.Value < b.Value), (a.Value > b.Value), (a.Value <= b.Value), (a.Value >= b.Value)], (bool[])[(a < b), (a > b), (a <= b), (a >= b)]);
        });
        Assert.True(Lsn.None.IsNone);
        Assert.False(new Lsn(1).IsNone);
    }

    [Fact]
    public void Versions_print_commit_and_ordinal()
    {
        var version = new ChangeVersion(Lsn.Parse("16/B374D848"), 3);
        Assert.Equal("16/B374D848/3", version.ToString());
        Assert.Equal(version, ChangeVersion.Parse("16/B374D848/3"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("16/B374D848")]
    [InlineData("16/1")]
    [InlineData("16/1/")]
    [InlineData("16/1/-1")]
    [InlineData("16/1/+1")]
    [InlineData("16/1/ 1")]
    [InlineData("16/1/1 ")]
    [InlineData("16/1/9223372036854775808")]
    [InlineData("/1/1")]
    [InlineData("1/2/3/4")]
    public void Other_texts_are_no_versions(string text) => Assert.Throws<FormatException>(() => ChangeVersion.Parse(text));

    [Fact]
    public void Versions_round_trip() => AnyVersion.Sample(v => ChangeVersion.Parse(v.ToString()) == v);

    [Fact]
    public void Versions_are_ordered_by_commit_and_then_by_ordinal() =>
        Gen.Select(AnyVersion, AnyVersion).Sample((a, b) =>
        {
            var expected = (a.CommitLsn.Value, a.Ordinal).CompareTo((b.CommitLsn.Value, b.Ordinal));
            Assert.Equal(Math.Sign(expected), Math.Sign(a.CompareTo(b)));
            Assert.Equal((bool[])[(expected < 0), (expected > 0), (expected <= 0), (expected >= 0), (expected == 0)], (bool[])[(a < b), (a > b), (a <= b), (a >= b), (a == b)]);
            Assert.True(a >= ChangeVersion.None);
        });

    [Fact]
    public void An_event_id_names_source_commit_and_ordinal() =>
        Assert.Equal("shop:16/B374D848:3", new SinkEvent
        {
            Topic = "t",
            Key = null,
            Value = null,
            Source = "shop",
            Version = ChangeVersion.Parse("16/B374D848/3"),
            Origin = EventOrigin.Stream,
            SchemaVersion = 1,
        }.Id);
}
