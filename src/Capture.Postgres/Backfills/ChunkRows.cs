using System.Buffers;
using CdcOrleans.Capture.Postgres.Replication;
using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using Npgsql;

namespace CdcOrleans.Capture.Postgres.Backfills;

/// <summary>
/// Takes the rows of a chunk from a cursor, in the text form of the server, until the chunk is full. A value longer than the limit is
/// skipped while it is read, as in the stream, so it is never in memory.
/// </summary>
internal sealed class ChunkRows(SourceConfiguration source, ChunkTable table, ChunkBounds bounds, TimeProvider time)
{
    /// <summary>
    /// Bytes up to which a value is read without giving up the thread: it is in the client's buffer, or about to arrive. An asynchronous call
    /// for each value would cost more than all the rest.
    /// </summary>
    private const int ShortValue = 4096;

    private readonly CapturedRelation _relation = new([], table.Table, EventOptions.Default);
    private readonly ArrayBufferWriter<byte> _row = new();
    private readonly FetchSizes _sizes = new(bounds, time);
    private readonly List<ChunkRow> _rows = [];
    private long _omitted;

    /// <summary>The rows so far.</summary>
    public IReadOnlyList<ChunkRow> Rows => _rows;

    /// <summary>The values of the key of the last row, in the order of the index.</summary>
    public IReadOnlyList<string?>? LastKey { get; private set; }

    /// <summary>The place of the last row, when rows are read by place.</summary>
    public string? LastTid { get; private set; }

    /// <summary>Whether the chunk takes no more.</summary>
    public bool IsFull => _sizes.IsFull;

    /// <summary>Reads the rows of a query.</summary>
    /// <param name="connection">The session.</param>
    /// <param name="query">The query.</param>
    /// <param name="cancellation">Cancels.</param>
    /// <returns>Whether it has no more rows.</returns>
    public async Task<bool> Take(NpgsqlConnection connection, NpgsqlCommand query, CancellationToken cancellation)
    {
        // With a cursor, the server goes on only as far as rows are asked for.
        query.CommandText = $"DECLARE cdc_chunk NO SCROLL CURSOR FOR {query.CommandText}";
        query.Connection = connection;
        await query.ExecuteNonQueryAsync(cancellation);
        while (true)
        {
            var fetch = _sizes.Begin();
            var (fetched, isDropped) = await Fetch(connection, fetch, cancellation);
            _sizes.End(fetched);
            if (fetched < fetch && !isDropped)
            {
                await Execute(connection, "CLOSE cdc_chunk", cancellation);
                return true;
            }

            if (isDropped || IsFull)
            {
                await Execute(connection, "CLOSE cdc_chunk", cancellation);
                return false;
            }
        }
    }

    private async Task<(int Fetched, bool IsDropped)> Fetch(NpgsqlConnection connection, int count, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"FETCH FORWARD {count} FROM cdc_chunk", connection)
        {
            AllResultTypesAreUnknown = true,

            // The server ends the statement itself. This ends the wait for one that is gone.
            CommandTimeout = (int)Math.Ceiling(2 * bounds.Timeout.TotalSeconds),
        };
        await using var reader = await command.ExecuteReaderAsync(System.Data.CommandBehavior.SequentialAccess, cancellation);
        var fetched = 0;
        var isDropped = false;
        while (await reader.ReadAsync(cancellation))
        {
            fetched++;

            // What was fetched beyond the bound is read with the next chunk.
            if (_sizes.HasAllBytes)
                isDropped = true;
            else
                Add(await ReadRow(reader, cancellation));
        }

        return (fetched, isDropped);
    }

    private async ValueTask<bool> ReadRow(NpgsqlDataReader reader, CancellationToken cancellation)
    {
        var hasOmitted = false;
        _row.ResetWrittenCount();
        var columns = table.Table.Columns.Length;
        _ = new RowImageWriter(_row.GetSpan(RowImageWriter.EmptySize), columns);
        _row.Advance(RowImageWriter.EmptySize);
        var next = 0;
        for (var column = 0; column < columns; column++)
        {
            if (next >= table.Read.Count || table.Read[next] != column)
            {
                Head(ColumnKind.Unchanged, 0);
                continue;
            }

            hasOmitted |= await ReadValue(reader, next++, cancellation);
        }

        if (table.Order == ChunkOrder.Place)
            LastTid = await reader.GetFieldValueAsync<string>(next, cancellation);

        return hasOmitted;
    }

    private ValueTask<bool> ReadValue(NpgsqlDataReader reader, int ordinal, CancellationToken cancellation)
    {
        if (reader.IsDBNull(ordinal))
        {
            Head(ColumnKind.Null, 0);
            return ValueTask.FromResult(false);
        }

        var value = reader.GetStream(ordinal);
        var length = (int)value.Length;
        if (length > ShortValue || length > source.LargeValues.Limit)
            return ReadLong(value, length, cancellation);
        using (value)
        {
            Head(ColumnKind.Text, length);
            value.ReadExactly(_row.GetSpan(length)[..length]);
            _row.Advance(length);
        }

        return ValueTask.FromResult(false);
    }

    private async ValueTask<bool> ReadLong(Stream value, int length, CancellationToken cancellation)
    {
        // The end of the stream skips what was not read of it.
        await using var ended = value;
        if (length > source.LargeValues.Limit)
        {
            Head(ColumnKind.Omitted, 0);
            _omitted += length;
            return true;
        }

        Head(ColumnKind.Text, length);
        await value.ReadExactlyAsync(_row.GetMemory(length)[..length], cancellation);
        _row.Advance(length);
        return false;
    }

    private void Head(ColumnKind kind, int length) => _row.Advance(RowImageWriter.WriteHead(_row.GetSpan(RowImageWriter.HeadSize), kind, length));

    private void Add(bool hasOmitted)
    {
        var tuple = _row.WrittenSpan.ToArray();
        Span<ColumnPlace> key = stackalloc ColumnPlace[_relation.KeyColumns];
        TupleData.Locate(tuple, _relation.KeyOfColumn, key);
        foreach (var column in key)
        {
            if (column.Kind == ColumnKind.Omitted)
                throw new CaptureException(
                    $"sources.{source.Name}.large_values.limit: a key value of table {table.Table.FullName} is longer than {source.LargeValues.Limit} bytes. Raise the limit.",
                    transient: false);
        }

        if (table.Key.Count > 0)
        {
            var values = new string?[table.Key.Count];
            for (var i = 0; i < values.Length; i++)
            {
                var place = key[_relation.KeyOfColumn[table.Key[i].Place]];
                values[i] = place.Kind == ColumnKind.Null ? null : System.Text.Encoding.UTF8.GetString(tuple, place.Offset, place.Length);
            }

            LastKey = values;
        }

        _rows.Add(new ChunkRow(new EntityKey(table.Table.FullName, KeyText.Of(tuple, key)), new RowImage(tuple), hasOmitted));
        _sizes.Add(tuple.Length + _omitted);
        _omitted = 0;
    }

    private static async Task Execute(NpgsqlConnection connection, string statement, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
