using System.Buffers;
using System.Buffers.Binary;
using CdcOrleans.Model.Changes;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>
/// Reads a message that may contain values longer than a limit. Such a value is never in memory: <see cref="ColumnKind.Omitted"/> is
/// written in its place. Everything else is copied, so the decoder reads the result like any message.
/// </summary>
internal sealed class LargeMessage
{
    private readonly Stream _data;
    private readonly int _limit;
    private readonly ArrayBufferWriter<byte> _kept = new();
    private readonly byte[] _scratch = new byte[64 << 10];
    private int _omitted;

    private LargeMessage(Stream data, int limit)
    {
        _data = data;
        _limit = limit;
    }

    /// <summary>Reads a whole message.</summary>
    /// <param name="data">The message.</param>
    /// <param name="limit">Bytes that a value may have.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>The message without what is too long, and the number of values left out.</returns>
    public static async Task<(byte[] Message, int Omitted)> Read(Stream data, int limit, CancellationToken cancellation)
    {
        var message = new LargeMessage(data, limit);
        await message.Read(cancellation);
        return (message._kept.WrittenSpan.ToArray(), message._omitted);
    }

    private async Task Read(CancellationToken cancellation)
    {
        switch (await Byte(cancellation))
        {
            case (byte)'I' or (byte)'U' or (byte)'D':
                await Keep(4, cancellation);
                // One or two rows, each behind a letter that says which.
                while (_data.Position < _data.Length)
                {
                    await Keep(1, cancellation);
                    await Row(cancellation);
                }

                break;
            case (byte)'M':
                await Keep(9, cancellation);
                while (await Byte(cancellation) != 0)
                {
                    // The prefix.
                }

                await Content(cancellation);
                break;
            default:
                await Keep(_data.Length - _data.Position, cancellation);
                break;
        }
    }

    private async Task Row(CancellationToken cancellation)
    {
        var columns = RowImageReader.CountOf(await Keep(RowImageReader.CountSize, cancellation));
        for (var column = 0; column < columns; column++)
        {
            var kind = (ColumnKind)(await Take(RowImageReader.KindSize, cancellation))[0];
            var length = kind == ColumnKind.Text ? RowImageReader.LengthOf(await Take(RowImageReader.LengthSize, cancellation)) : 0;
            var isTooLong = length > _limit;
            _kept.Advance(RowImageWriter.WriteHead(_kept.GetSpan(RowImageWriter.HeadSize), isTooLong ? ColumnKind.Omitted : kind, length));
            if (isTooLong)
                await Skip(length, cancellation);
            else if (length > 0)
                await Keep(length, cancellation);
        }
    }

    private async Task Content(CancellationToken cancellation)
    {
        var length = BinaryPrimitives.ReadInt32BigEndian(await Take(4, cancellation));
        var isTooLong = LogicalMessage.TextLength(length) > _limit;
        Number(isTooLong ? 0 : length);
        if (isTooLong)
            await Skip(length, cancellation);
        else
            await Keep(length, cancellation);
    }

    private void Number(int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        _kept.Write(bytes);
    }

    private async Task Skip(long length, CancellationToken cancellation)
    {
        _omitted++;
        for (var left = length; left > 0;)
            left -= await Some(left, cancellation);
    }

    private async Task<byte> Byte(CancellationToken cancellation) => (await Keep(1, cancellation))[0];

    // Copies; what is short can be looked at.
    private async Task<byte[]> Keep(long length, CancellationToken cancellation)
    {
        for (var left = length; left > 0;)
        {
            var read = await Some(left, cancellation);
            _kept.Write(_scratch.AsSpan(0, read));
            left -= read;
        }

        return length <= 9 ? Tail((int)length) : [];
    }

    private byte[] Tail(int length) => _kept.WrittenSpan[^length..].ToArray();

    private async Task<byte[]> Take(int length, CancellationToken cancellation)
    {
        await _data.ReadExactlyAsync(_scratch.AsMemory(0, length), cancellation);
        return _scratch;
    }

    private async Task<int> Some(long most, CancellationToken cancellation)
    {
        var read = await _data.ReadAsync(_scratch.AsMemory(0, (int)Math.Min(most, _scratch.Length)), cancellation);
        return read > 0 ? read : throw new InvalidDataException("A message of the log ends early.");
    }
}
