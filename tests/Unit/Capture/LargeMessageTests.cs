using System.Text;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Changes;
using CsCheck;
using Xunit;
using static CdcOrleans.Unit.Capture.DecoderUnderTest;

namespace CdcOrleans.Unit.Capture;

public sealed class LargeMessageTests
{
    private static readonly Gen<string?[]> Values = Gen.OneOf(
        Gen.Const((string?)null), Gen.Const((string?)LogWriter.Unchanged), Gen.String[Gen.Char.AlphaNumeric, 0, 40].Select(s => (string?)s)).Array[4];

    [Fact]
    public void What_fits_comes_as_it_is_and_what_does_not_is_left_out() =>
        Gen.Select(Values, Values, Gen.Int[0, 6], Gen.Int[1, 40]).Sample((before, after, kind, limit) =>
        {
            var message = Message(kind, before, after);
            var (read, omitted) = LargeMessage.Read(new MemoryStream(message), limit, CancellationToken.None).GetAwaiter().GetResult();
            var expected = Message(kind, Shortened(before, limit), Shortened(after, limit));
            Assert.Equal(Replaced(expected), read);
            Assert.Equal(
                (HasBefore(kind) ? before.Count(v => IsLong(v, limit)) : 0) + (HasAfter(kind) ? after.Count(v => IsLong(v, limit)) : 0), omitted);
        });

    [Theory]
    [InlineData(12, "\\x68656c6c6f")]
    [InlineData(11, null)]
    public async Task A_messages_content_is_left_out_too(int limit, string? content)
    {
        var (read, omitted) = await LargeMessage.Read(new MemoryStream(LogWriter.Message(true, 7, "note", "hello")), limit, CancellationToken.None);
        var log = new DecoderUnderTest { HasOmitted = omitted > 0 };
        log.Transaction(1000, read);
        var message = Assert.Single(log.Changes);
        Assert.Equal(content is null, message.HasOmitted);
        Assert.Equal(content ?? LeftOut, DecoderUnderTest.Values(message.After)[1]);
    }

    [Fact]
    public async Task Other_messages_are_copied_and_a_cut_one_is_refused()
    {
        var relation = LogWriter.Relation(Orders, "public", "orders", 'd', (true, "a", 25, -1));
        Assert.Equal(relation, (await LargeMessage.Read(new MemoryStream(relation), 1, CancellationToken.None)).Message);
        var cut = LogWriter.Insert(Orders, LogWriter.Row("a long value", "b", "c", "d"))[..^5];
        await Assert.ThrowsAnyAsync<Exception>(() => LargeMessage.Read(new MemoryStream(cut), 4, CancellationToken.None));
    }

    [Fact]
    public async Task A_change_with_values_left_out_says_so()
    {
        var insert = LogWriter.Insert(Orders, LogWriter.Row("1", "far too long", null, ""));
        var (read, omitted) = await LargeMessage.Read(new MemoryStream(insert), 8, CancellationToken.None);
        var log = new DecoderUnderTest { HasOmitted = omitted > 0 };
        log.Transaction(1000, read);
        var change = Assert.Single(log.Changes);
        Assert.True(change.HasOmitted);
        Assert.Equal(["1", LeftOut, null, ""], DecoderUnderTest.Values(change.After));
        Assert.False(change.After.HasUnchanged);
    }

    private static bool HasBefore(int kind) => kind >= 2;

    private static bool HasAfter(int kind) => kind <= 3;

    private static byte[] Message(int kind, string?[] before, string?[] after) => kind switch
    {
        0 => LogWriter.Insert(Orders, LogWriter.Row(after)),
        1 => LogWriter.Update(Orders, LogWriter.Row(after)),
        2 => LogWriter.Update(Orders, 'K', LogWriter.Row(before), LogWriter.Row(after)),
        3 => LogWriter.Update(Orders, 'O', LogWriter.Row(before), LogWriter.Row(after)),
        _ => LogWriter.Delete(Orders, kind == 4 ? 'K' : 'O', LogWriter.Row(before)),
    };

    private static bool IsLong(string? value, int limit) => value is not null && !ReferenceEquals(value, LogWriter.Unchanged) && value.Length > limit;

    // A marker of a length that no value has. Replaced turns it into the form of a value that was left out.
    private static string?[] Shortened(string?[] values, int limit) => [.. values.Select(v => IsLong(v, limit) ? "#left out#" : v)];

    private static byte[] Replaced(byte[] message)
    {
        var mark = Encoding.ASCII.GetBytes("t\0\0\0\n#left out#");
        var replaced = new List<byte>();
        for (var at = 0; at < message.Length;)
        {
            var isMark = message.AsSpan(at).StartsWith(mark);
            replaced.Add(isMark ? (byte)ColumnKind.Omitted : message[at]);
            at += isMark ? mark.Length : 1;
        }

        return [.. replaced];
    }
}
