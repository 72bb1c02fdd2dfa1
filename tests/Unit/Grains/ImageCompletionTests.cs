using CdcOrleans.Grains.Entities;
using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Entities;
using CdcOrleans.Model.Schemas;
using CdcOrleans.Testing.Pipeline;
using Xunit;

namespace CdcOrleans.Unit.Grains;

public sealed class ImageCompletionTests
{
    private static readonly EntityState Stored =
        new(Sample.Version(1), Sample.Orders, Sample.Row("1", "new", "a long note"), Deleted: false);

    [Fact]
    public void An_unchanged_value_comes_from_the_held_row()
    {
        var change = Sample.Change(ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", null, Sample.Unchanged));
        Assert.Equal(["1", null, "a long note"], Sample.Values(ImageCompletion.After(change, Stored)));
    }

    [Fact]
    public void It_is_found_by_the_columns_number_whatever_it_is_called_now()
    {
        var table = Sample.Table("orders", 2, "id", "remark", "added");
        table.Columns[1] = table.Columns[1] with { Number = 3 };
        table.Columns[2] = table.Columns[2] with { Number = 4 };
        var change = Sample.Change(
            ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", Sample.Unchanged, Sample.Unchanged), table: table);
        Assert.Equal(["1", "a long note", Sample.Unchanged], Sample.Values(ImageCompletion.After(change, Stored)));
    }

    // Another column that got its name; one that nobody can tell; one of another table that got the table's name.
    [Theory]
    [InlineData(4, 0u)]
    [InlineData(0, 0u)]
    [InlineData(3, 99u)]
    public void It_stays_unknown_where_the_column_is_another_or_cannot_be_told(int number, uint oid)
    {
        var columns = Sample.Table("orders", 2, "id", "status", "note").Columns;
        columns[2] = columns[2] with { Number = number };
        var table = new TableSchema
        {
            TableId = Sample.Orders.TableId, Version = 2, Schema = "public", Name = "orders", Columns = columns, Key = [0], RelationOid = oid,
        };
        var change = Sample.Change(ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", "x", Sample.Unchanged), table: table);
        Assert.Equal(["1", "x", Sample.Unchanged], Sample.Values(ImageCompletion.After(change, Stored)));
    }

    [Fact]
    public void It_stays_unknown_where_the_column_got_another_type()
    {
        var table = Sample.Table("orders", 2, "id", "status", "note");
        table.Columns[2] = table.Columns[2] with { TypeOid = 1043, TypeModifier = 504 };
        var change = Sample.Change(ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", Sample.Unchanged, Sample.Unchanged), table: table);
        Assert.Equal(["1", "new", Sample.Unchanged], Sample.Values(ImageCompletion.After(change, Stored)));
    }

    [Fact]
    public void Without_a_held_row_it_stays_unknown()
    {
        var change = Sample.Change(ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", "x", Sample.Unchanged));
        Assert.Equal(["1", "x", Sample.Unchanged], Sample.Values(ImageCompletion.After(change, null)));
        Assert.Equal(["1", "x", Sample.Unchanged], Sample.Values(ImageCompletion.After(change, Stored with { Deleted = true, Row = default })));
    }

    [Fact]
    public void Before_is_the_logs_when_whole_else_the_held_row_else_the_key()
    {
        var whole = Sample.Change(
            ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", "b", "c"), before: Sample.Row("1", "log", "log"));
        Assert.Equal(["1", "log", "log"], Sample.Values(ImageCompletion.Before(whole, Stored, out var beforeSchema)));
        Assert.Same(whole.Table, beforeSchema);

        var none = Sample.Change(ChangeOperation.Update, "1", Sample.Version(2), Sample.Row("1", "b", "c"));
        Assert.Equal(["1", "new", "a long note"], Sample.Values(ImageCompletion.Before(none, Stored, out beforeSchema)));
        Assert.Same(Stored.Table, beforeSchema);

        var delete = Sample.Change(ChangeOperation.Delete, "1", Sample.Version(2), before: Sample.Row("1", null, null), keyOnly: true);
        Assert.Equal(["1", "new", "a long note"], Sample.Values(ImageCompletion.Before(delete, Stored, out _)));
        Assert.Equal(["1", null, null], Sample.Values(ImageCompletion.Before(delete, null, out _)));

        Assert.False(ImageCompletion.Before(none, null, out beforeSchema).IsPresent);
        Assert.Null(beforeSchema);
    }

    [Fact]
    public void A_row_of_another_table_that_had_the_name_is_no_before()
    {
        static TableSchema Another(uint oid) => new() { TableId = 6, Version = 2, Schema = "public", Name = "orders", Columns = Sample.Orders.Columns, Key = [0], RelationOid = oid };
        var stored = Stored with { Table = Another(1) };
        RowImage Before(uint oid, ChangeOperation operation, RowImage logged = default) =>
            ImageCompletion.Before(Sample.Change(operation, "1", Sample.Version(2), before: logged, keyOnly: true, table: Another(oid)), stored, out _);

        Assert.False(Before(2, ChangeOperation.Update).IsPresent);
        Assert.Equal(["1", null, null], Sample.Values(Before(2, ChangeOperation.Delete, Sample.Row("1", null, null))));
        Assert.Equal(["1", "new", "a long note"], Sample.Values(Before(1, ChangeOperation.Update)));
    }

    [Fact]
    public void A_create_has_no_before_even_over_a_held_row()
    {
        var change = Sample.Change(ChangeOperation.Create, "1", Sample.Version(2), Sample.Row("1", "b", "c"));
        Assert.False(ImageCompletion.Before(change, Stored, out _).IsPresent);
    }
}
