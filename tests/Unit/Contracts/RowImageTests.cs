using System.Buffers.Binary;
using CdcOrleans.Model.Changes;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class RowImageTests
{
    // A column as the log writes it; the text is null for the kinds that have none.
    private static readonly Gen<(ColumnKind Kind, byte[] Text)> AnyColumn = Gen.OneOf(
        Gen.Const((ColumnKind.Null, Array.Empty<byte>())),
        Gen.Const((ColumnKind.Unchanged, Array.Empty<byte>())),
        Gen.Byte.Array[0, 40].Select(b => (ColumnKind.Text, b)));

    [Fact]
    public void Columns_are_read_as_they_were_written() =>
        AnyColumn.Array[0, 20].Sample(columns =>
        {
            var image = new RowImage(Tuple(columns));
            var read = new List<(ColumnKind Kind, byte[] Text)>();
            foreach (var column in image)
                read.Add((column.Kind, column.Text.ToArray()));

            Assert.Equal(columns.Select(c => c.Kind), read.Select(c => c.Kind));
            Assert.Equal(columns.Select(c => c.Text), read.Select(c => c.Text));
            Assert.Equal(columns.Length, image.ColumnCount);
            Assert.Equal(columns.Any(c => c.Kind == ColumnKind.Unchanged), image.HasUnchanged);
            Assert.Equal(2 + columns.Sum(c => c.Kind == ColumnKind.Text ? 5 + c.Text.Length : 1), image.Size);
            Assert.True(image.IsPresent);
        });

    [Fact]
    public void Columns_are_written_as_the_log_has_them() =>
        AnyColumn.Array[0, 20].Sample(columns =>
        {
            var bytes = new byte[RowImageWriter.EmptySize + columns.Sum(c => RowImageWriter.SizeOf(c.Kind, c.Text.Length))];
            var writer = new RowImageWriter(bytes, columns.Length);
            foreach (var (kind, text) in columns)
            {
                if (kind == ColumnKind.Text && text.Length % 2 == 0)
                    text.CopyTo(writer.WriteText(text.Length));
                else
                    writer.Write(kind, text);
            }

            Assert.Equal(Tuple(columns), bytes);
        });

    [Fact]
    public void A_row_that_ends_early_is_refused() =>
        AnyColumn.Array[1, 10].Sample(columns =>
        {
            var whole = Tuple(columns);
            for (var length = 0; length < whole.Length; length++)
                Assert.Throws<InvalidDataException>(() => new RowImageReader(whole.AsSpan(0, length)).Any(ColumnKind.Omitted));
        });

    [Fact]
    public void The_widest_table_is_read() => Assert.Equal(1600, new RowImage(Tuple([.. Enumerable.Repeat((ColumnKind.Null, Array.Empty<byte>()), 1600)])).ColumnCount);

    [Fact]
    public void An_absent_image_has_no_columns()
    {
        RowImage absent = default;
        foreach (var column in absent)
            Assert.Fail($"There is a column of kind {column.Kind}.");
        Assert.False(absent.IsPresent);
        Assert.False(absent.HasUnchanged);
        Assert.Equal((0, 0), (absent.ColumnCount, absent.Size));
        Assert.True(absent.Bytes.IsEmpty);
        Assert.Null(absent.ToStorage());
    }

    [Fact]
    public void A_kind_that_the_text_protocol_does_not_have_is_refused()
    {
        var image = new RowImage([0, 1, (byte)'b', 0, 0, 0, 0]);
        Assert.Equal("Unknown column kind 0x62 in a row image.", Assert.Throws<InvalidDataException>(() => _ = image.HasUnchanged).Message);
    }

    internal static byte[] Tuple(IReadOnlyList<(ColumnKind Kind, byte[] Text)> columns)
    {
        var tuple = new List<byte>();
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt16BigEndian(number, (short)columns.Count);
        tuple.AddRange(number[..2]);
        foreach (var (kind, text) in columns)
        {
            tuple.Add((byte)kind);
            if (kind != ColumnKind.Text)
                continue;
            BinaryPrimitives.WriteInt32BigEndian(number, text.Length);
            tuple.AddRange(number);
            tuple.AddRange(text);
        }

        return [.. tuple];
    }
}
