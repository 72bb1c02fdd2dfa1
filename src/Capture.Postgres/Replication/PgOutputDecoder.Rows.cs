using CdcOrleans.Model.Capture;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;

namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Inserts, updates and deletes.</summary>
internal sealed partial class PgOutputDecoder
{
    private readonly MovedKeys _movedKeys = new();

    private Decoded Insert(ref WireReader reader, Lsn position, out WalItem item)
    {
        item = default;
        var relation = Relation(reader.UInt32());
        if (HasExpired(relation))
            return Decoded.Expired;
        _ordinal++;
        if (NotSelected(relation))
            return Decoded.Nothing;
        Expect(reader.Byte() == (byte)'N');
        var after = reader.Rest;
        Span<ColumnPlace> key = stackalloc ColumnPlace[relation.KeyColumns];
        TupleData.Locate(after, relation.KeyOfColumn, key);
        RequireKey(relation, key);
        var text = KeyText.Of(after, key);
        if (relation.KeysMayRepeat)
            Taken(relation, text, after);
        item = First(Change(ChangeOperation.Create, relation, text, position, default, false, after.ToArray()));
        return Decoded.Item;
    }

    private Decoded Update(ref WireReader reader, Lsn position, out WalItem item)
    {
        item = default;
        var relation = Relation(reader.UInt32());
        if (HasExpired(relation))
            return Decoded.Expired;

        // An update always counts as two, even when its key does not seem to change: the second ordinal is for the create under a new key.
        _ordinal += 2;
        if (NotSelected(relation))
            return Decoded.Nothing;
        var kind = reader.Byte();
        if (kind != (byte)'N')
        {
            return UpdateWithOldRow(ref reader, kind, relation, position) is { } update ? Item(update, out item) : Decoded.Nothing;
        }

        var after = reader.Rest;
        Span<ColumnPlace> key = stackalloc ColumnPlace[relation.KeyColumns];
        TupleData.Locate(after, relation.KeyOfColumn, key);
        RequireKey(relation, key);
        item = First(Change(ChangeOperation.Update, relation, KeyText.Of(after, key), position, default, false, after.ToArray(), ordinal: _ordinal - 1));
        return Decoded.Item;
    }

    private static Decoded Item(WalItem decoded, out WalItem item)
    {
        item = decoded;
        return Decoded.Item;
    }

    // Returns null when nothing is to be told: the update concerns the former owner of a key that another row has now.
    private WalItem? UpdateWithOldRow(ref WireReader reader, byte kind, CapturedRelation relation, Lsn position)
    {
        var keyOnly = KeyOnly(kind) || relation.OldRowsAreKeyOnly;
        var before = reader.Bytes(TupleData.LengthOf(reader.Rest));
        Expect(reader.Byte() == (byte)'N');
        var after = reader.Rest;
        Span<ColumnPlace> oldKey = stackalloc ColumnPlace[relation.KeyColumns];
        Span<ColumnPlace> newKey = stackalloc ColumnPlace[relation.KeyColumns];
        TupleData.Locate(before, relation.KeyOfColumn, oldKey);
        RequireKey(relation, oldKey);

        // The new row lacks out-of-line values that were not changed. They are in the old row, if the log has it: all of them with REPLICA
        // IDENTITY FULL, otherwise only those of key columns.
        var completed = TupleData.HasUnchanged(after) && (!keyOnly || relation.KeyColumns > 0)
            ? TupleData.Complete(after, before, keyOnly ? relation.KeyOfColumn : default)
            : after.ToArray();
        TupleData.Locate(completed, relation.KeyOfColumn, newKey);
        RequireKey(relation, newKey);
        var key = KeyText.Of(completed, newKey);
        if (KeyText.Same(before, oldKey, completed, newKey))
        {
            if (IsFormerOwner(relation, key, before, keyOnly))
                return null;
            if (!keyOnly)
                _movedKeys.Updated(relation.Name, key, completed);
            return First(Change(ChangeOperation.Update, relation, key, position, before.ToArray(), keyOnly, completed, ordinal: _ordinal - 1));
        }

        // The delete and the create each have the row of the other.
        var oldRow = before.ToArray();
        var former = KeyText.Of(before, oldKey);
        var isLeft = !IsFormerOwner(relation, former, before, keyOnly);
        if (isLeft)
            _movedKeys.Left(relation.Name, former);
        if (!keyOnly)
            Taken(relation, key, completed);
        else
            _movedKeys.Left(relation.Name, key);
        WalItem? delete = isLeft ? First(Change(ChangeOperation.Delete, relation, former, position, oldRow, keyOnly, null, completed, _ordinal - 1)) : null;
        var create = Change(ChangeOperation.Create, relation, key, position, default, false, completed, oldRow);
        if (delete is null)
            return First(create);
        _queued.Enqueue(Item(create));
        return delete;
    }

    // A row with values that were left out cannot be told from others.
    private void Taken(CapturedRelation relation, string key, ReadOnlySpan<byte> row)
    {
        if (HasOmitted)
            _movedKeys.Left(relation.Name, key);
        else
            _movedKeys.Taken(relation.Name, key, row);
    }

    private bool IsFormerOwner(CapturedRelation relation, string key, ReadOnlySpan<byte> oldRow, bool keyOnly) =>
        !keyOnly && !HasOmitted && _movedKeys.IsFormerOwner(relation.Name, key, oldRow);

    private Decoded Delete(ref WireReader reader, Lsn position, out WalItem item)
    {
        item = default;
        var relation = Relation(reader.UInt32());
        if (HasExpired(relation))
            return Decoded.Expired;
        _ordinal++;
        if (NotSelected(relation))
            return Decoded.Nothing;
        var keyOnly = KeyOnly(reader.Byte()) || relation.OldRowsAreKeyOnly;
        var before = reader.Rest;
        Span<ColumnPlace> key = stackalloc ColumnPlace[relation.KeyColumns];
        TupleData.Locate(before, relation.KeyOfColumn, key);
        RequireKey(relation, key);
        var former = KeyText.Of(before, key);
        if (IsFormerOwner(relation, former, before, keyOnly))
            return Decoded.Nothing;
        _movedKeys.Left(relation.Name, former);
        item = First(Change(ChangeOperation.Delete, relation, former, position, before.ToArray(), keyOnly, null));
        return Decoded.Item;
    }

    private RowChange Change(
        ChangeOperation operation, CapturedRelation relation, string key, Lsn position, byte[]? before, bool beforeIsKeyOnly, byte[]? after,
        byte[]? otherRow = null, long? ordinal = null)
    {
        var transaction = Transaction();
        var (total, ofTable) = _tally is { } tally && !relation.Events.Skips(operation) ? tally.Count(relation.Name) : default;
        return new RowChange
        {
            Operation = operation,
            Table = relation.Table!,
            Entity = new EntityKey(relation.Name, key),
            Version = new ChangeVersion(transaction.CommitLsn, ordinal ?? _ordinal),
            Lsn = position,
            Transaction = transaction,
            Before = before is null ? default : new RowImage(before),
            BeforeIsKeyOnly = beforeIsKeyOnly,
            After = after is null ? default : new RowImage(after),
            OtherRow = otherRow is null ? default : new RowImage(otherRow),
            HasOmitted = HasOmitted,
            TotalOrder = total,
            TableOrder = ofTable,
        };
    }

    // Before the first change of a transaction comes its begin event.
    private WalItem First(RowChange change)
    {
        if (_tally is null || _beginEmitted)
            return Item(change);
        Enqueue(change);
        return _queued.Dequeue();
    }

    private void Enqueue(RowChange change)
    {
        if (_tally is not null && !_beginEmitted)
        {
            _beginEmitted = true;
            _queued.Enqueue(Item(BeginEvent(change)));
        }

        _queued.Enqueue(Item(change));
    }

    private static WalItem Item(RowChange change) => new(WalItemKind.Change, change, null, Lsn.None);

    private bool NotSelected(CapturedRelation relation)
    {
        if (relation.Table is not null)
            return false;
        observer.ChangeNotSelected();
        return true;
    }

    private static bool KeyOnly(byte kind) => kind switch
    {
        (byte)'K' => true,
        (byte)'O' => false,
        _ => throw new InvalidDataException($"The log contains an old row of the unknown kind 0x{kind:X2}."),
    };

    private static void Expect(bool newRow)
    {
        if (!newRow)
            throw new InvalidDataException("The log contains a change without its new row.");
    }

    private void RequireKey(CapturedRelation relation, ReadOnlySpan<ColumnPlace> key)
    {
        foreach (var column in key)
        {
            if (column.Kind == ColumnKind.Omitted)
                throw new CaptureException(
                    $"sources.{source.Name}.large_values.limit: a key value of table {relation.Name} is longer than {source.LargeValues.Limit} bytes. Raise the limit.",
                    transient: false);
            if (column.Kind == ColumnKind.Unchanged)
                throw new InvalidDataException($"The log leaves out a key value of {relation.Name}.");
        }
    }
}
