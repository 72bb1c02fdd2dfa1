using CdcOrleans.Model.Changes;
using CdcOrleans.Testing.Pipeline;
using Xunit;

namespace CdcOrleans.Unit.Contracts;

public sealed class RowChangeTests
{
    [Fact]
    public void All_rows_of_a_change_count_in_its_size()
    {
        var row = Sample.Row("a", "b", "c");
        var change = Sample.Change(ChangeOperation.Delete, "a", Sample.Version(1), row, row) with { OtherRow = row };
        Assert.Equal(162 + (3 * row.Size), change.Size);
    }
}
