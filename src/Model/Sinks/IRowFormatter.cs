using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Sinks;

/// <summary>Writes a row as people and APIs see it.</summary>
public interface IRowFormatter
{
    /// <summary>The row as a JSON object, with the values that events carry.</summary>
    string ToJson(TableSchema table, RowImage row, ValueOptions values);
}
